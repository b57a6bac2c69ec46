// Package forwarded finds out which client made a request that has passed through
// proxies. It reads the X-Forwarded-* headers of trusted proxies only.
//
// X-Forwarded-For is read from its end: the last address that is none of a trusted proxy
// is the client's, whatever a client has written before it. The header Forwarded is not
// read: few proxies write it, and a proxy that writes X-Forwarded-For passes a client's
// own Forwarded on unchanged.
package forwarded

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// Proxies are the addresses of proxies that are trusted.
type Proxies []netip.Prefix

// ParseProxies reads addresses and prefixes, as in "127.0.0.1, 10.0.0.0/8, ::1".
func ParseProxies(list string) (Proxies, error) {
	var p Proxies
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		if addr, err := netip.ParseAddr(word); err == nil {
			addr = addr.Unmap()
			p = append(p, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, err
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

// Trust reports whether an address is that of a trusted proxy.
func (p Proxies) Trust(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Handler makes Client, Host and Secure use the headers of trusted proxies, in next and
// below. If a trusted proxy's X-Forwarded-For cannot be read, its clients all count as the
// proxy; logger gets one warning about that.
func (p Proxies) Handler(next http.Handler, logger *slog.Logger) http.Handler {
	if len(p) == 0 {
		return next
	}
	var warned atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if proxy := peer(r); p.Trust(proxy) {
			client, unread := p.client(r.Header.Values("X-Forwarded-For"))
			if unread != "" && !warned.Swap(true) {
				logger.Warn("forwarded: cannot read X-Forwarded-For of a trusted proxy, so its clients count as one; "+
					"want addresses such as 203.0.113.17, 203.0.113.17:4711 or [2001:db8::1]:4711", "proxy", proxy, "got", unread)
			}
			r = r.WithContext(context.WithValue(r.Context(), saidKey{}, said{
				client: client, claimed: len(r.Header.Values("X-Forwarded-For")) > 0,
				host:  first(r.Header.Get("X-Forwarded-Host")),
				proto: first(r.Header.Get("X-Forwarded-Proto")),
			}))
		}
		next.ServeHTTP(w, r)
	})
}

// client returns the last address in the header that is none of a trusted proxy, the zero
// Addr if there is none; unread is what stands before the trusted ones if it is no
// address. What is further to the left a client may have written.
func (p Proxies) client(header []string) (client netip.Addr, unread string) {
	for _, line := range slices.Backward(header) {
		for _, word := range slices.Backward(strings.Split(line, ",")) {
			if word = strings.TrimSpace(word); word == "" {
				continue
			}
			addr, ok := parseAddr(word)
			if !ok {
				return netip.Addr{}, word
			}
			if !p.Trust(addr) {
				return addr, ""
			}
		}
	}
	return netip.Addr{}, ""
}

// parseAddr reads the forms in which proxies write an address: with or without a port, an
// IPv6 address with or without brackets, all of it perhaps in quotes.
func parseAddr(word string) (netip.Addr, bool) {
	if n := len(word); n >= 2 && word[0] == '"' && word[n-1] == '"' {
		word = word[1 : n-1]
	}
	addr, err := netip.ParseAddr(word)
	if err != nil {
		if ap, e := netip.ParseAddrPort(word); e == nil {
			addr, err = ap.Addr(), nil
		}
	}
	if n := len(word); err != nil && n > 2 && word[0] == '[' && word[n-1] == ']' {
		addr, err = netip.ParseAddr(word[1 : n-1])
	}
	return addr.Unmap().WithZone(""), err == nil
}

// said is what a trusted proxy says about a request. Unlike client, the client may have
// made up host and proto if the proxy does not replace them, so use these only for what
// concerns that client alone.
type said struct {
	client      netip.Addr // the zero Addr: the proxy does not say
	claimed     bool       // there is a header about the client
	host, proto string
}

type saidKey struct{}

func first(list string) string {
	word, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(word)
}

// Client returns the address of the client that made a request: behind trusted proxies
// that of their client, else that of the peer. IPv4 addresses are never written as IPv6
// ones, and there is no zone. It is the zero Addr if the request did not come over IP.
func Client(r *http.Request) netip.Addr {
	if s, _ := r.Context().Value(saidKey{}).(said); s.client.IsValid() {
		return s.client
	}
	return peer(r)
}

// Counted returns the address by which the client of a request is limited: that of Client,
// but an unspecified one if a header says, or hides, that the client is on this machine.
// Addresses of this machine have no limits (see Network), which nobody gets by a header.
func Counted(r *http.Request) netip.Addr {
	addr := Client(r)
	if s, _ := r.Context().Value(saidKey{}).(said); s.claimed && addr.IsLoopback() {
		return netip.IPv4Unspecified()
	}
	return addr
}

func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// Network returns the prefix by which clients are counted: the address itself, or of IPv6
// the network (/64) that a host has to itself. A loopback address has none (ok
// is false): if all clients seem to have one, it is that of a proxy which was not set as
// trusted.
func Network(addr netip.Addr) (n netip.Prefix, ok bool) {
	if !addr.IsValid() || addr.IsLoopback() {
		return netip.Prefix{}, false
	}
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	n, err := addr.Prefix(bits)
	return n, err == nil
}

// Source names the client that an address stands for, where clients share a limit: its
// network, as of Network, or the loopback address itself. It is empty if addr is the zero Addr.
func Source(addr netip.Addr) string {
	if n, ok := Network(addr); ok {
		return n.String()
	}
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}

// Host returns the host that the client requested, with its port if there is one.
func Host(r *http.Request) string {
	if s, _ := r.Context().Value(saidKey{}).(said); s.host != "" {
		return s.host
	}
	return r.Host
}

// Secure reports whether the client used HTTPS.
func Secure(r *http.Request) bool {
	if s, _ := r.Context().Value(saidKey{}).(said); s.proto != "" {
		return strings.EqualFold(s.proto, "https")
	}
	return r.TLS != nil
}
