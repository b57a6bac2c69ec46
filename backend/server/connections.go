package server

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/forwarded"
)

// reservedFiles is how many file descriptors are kept back from connections: the store
// must not run out of them.
const reservedFiles = 128

// minFiles is the lowest limit of open files with which a server starts: what is not
// reserved must do for clients.
const minFiles = 2 * reservedFiles

// connections counts the connections of an HTTP server and cuts those beyond its limits,
// so that clients which only connect cannot take all file descriptors. A connection that
// has become a socket counts as the gateway's.
type connections struct {
	max        int // with the gateway's sockets; 0: no limit
	perAddress int // 0: no limit
	proxies    forwarded.Proxies
	sockets    func() int
	logger     *slog.Logger

	mu     sync.Mutex
	all    int
	of     map[netip.Prefix]int
	warned time.Time // when the last warning was logged
}

func newConnections(o Options, sockets func() int, logger *slog.Logger) *connections {
	return &connections{
		max: max(0, openFiles()-reservedFiles), perAddress: 2 * o.MaxSocketsPerIP, proxies: o.TrustedProxies,
		sockets: sockets, logger: logger, of: map[netip.Prefix]int{},
	}
}

// changed is http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if !c.add(conn) {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // so that it does not stay in TIME_WAIT
			}
			_ = conn.Close() // the server notices it
		}
	case http.StateHijacked, http.StateClosed:
		c.remove(conn)
	}
}

// add counts the connection, and reports whether it may stay.
func (c *connections) add(conn net.Conn) bool {
	sockets := c.sockets()
	addr := addrOf(conn)
	from, limited := forwarded.Network(addr)
	limited = limited && !c.proxies.Trust(addr)
	c.mu.Lock()
	c.all++
	c.of[from]++
	limit, option := 0, ""
	switch {
	case c.max > 0 && c.all+sockets > c.max:
		limit, option = c.max, "open files (ulimit -n)"
	case limited && c.perAddress > 0 && c.of[from] > c.perAddress:
		limit, option = c.perAddress, "twice -max-sockets-per-ip"
	}
	warn := option != "" && time.Since(c.warned) >= time.Minute
	if warn {
		c.warned = time.Now()
	}
	c.mu.Unlock()
	if warn {
		c.logger.Warn("connection limit reached, new connections are cut; if they come from a proxy, set -trusted-proxies",
			"address", addr, "limit", limit, "option", option)
	}
	return option == ""
}

func (c *connections) remove(conn net.Conn) {
	from, _ := forwarded.Network(addrOf(conn))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.of[from]--; c.of[from] <= 0 {
		delete(c.of, from)
	}
}

func addrOf(conn net.Conn) netip.Addr {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
