package server

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/forwarded"
)

// elsewhere is a listener whose connections report the addresses sent to from.
type elsewhere struct {
	net.Listener
	from chan string
}

func (l elsewhere) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return addressed{conn, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(<-l.from))}, nil
}

type addressed struct {
	net.Conn
	addr net.Addr
}

func (c addressed) RemoteAddr() net.Addr { return c.addr }

// TestG9_Connections: a client that only connects gets a limited number of connections,
// other clients are served, and the store always has file descriptors left.
func TestG9_Connections(t *testing.T) {
	var log bytes.Buffer
	c := &connections{
		max: 6, perAddress: 2, proxies: forwarded.Proxies{netip.MustParsePrefix("10.0.0.0/8")},
		sockets: func() int { return 1 }, logger: slog.New(slog.NewTextHandler(&log, nil)), of: map[netip.Prefix]int{},
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := elsewhere{tcp, make(chan string, 1)}
	ended := make(chan net.Conn)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }),
		ConnState: func(conn net.Conn, s http.ConnState) {
			c.changed(conn, s)
			if s == http.StateClosed {
				ended <- conn
			}
		},
	}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()

	// dial connects from an address and reports whether a request is answered.
	dial := func(from string) (net.Conn, bool) {
		t.Helper()
		conn, err := net.Dial("tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		l.from <- from
		// Writing may fail if it was cut, reading does then.
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			<-ended
			return conn, false
		}
		_ = resp.Body.Close()
		return conn, true
	}
	var open []net.Conn
	for i, tc := range []struct {
		from string
		want bool
	}{
		{"192.0.2.1:1", true}, {"192.0.2.1:2", true}, {"192.0.2.1:3", false}, // too many of one address
		{"10.0.0.1:1", true}, {"10.0.0.1:2", true}, {"10.0.0.1:3", true}, // a proxy has no limit
		{"192.0.2.2:1", false}, // too many in all: with the socket it would be seven
	} {
		conn, ok := dial(tc.from)
		if ok != tc.want {
			t.Fatalf("%d. from %s: served %v, want %v", i, tc.from, ok, tc.want)
		}
		if open = append(open, conn); i == 0 {
			defer func() { _ = conn.Close() }()
		}
	}
	_ = open[0].Close()
	<-ended
	if _, ok := dial("192.0.2.1:4"); !ok {
		t.Error("no connection is accepted after one has closed")
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "address=192.0.2.1 limit=2") {
		t.Errorf("the log says %q", got)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != http.ErrServerClosed {
		t.Error(err)
	}
	for range 5 {
		<-ended
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all != 0 || len(c.of) != 0 {
		t.Errorf("%d connections of %v are left", c.all, c.of)
	}
}
