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
	"net/http"
	"net/netip"
	"strings"

	"github.com/go-chi/chi/v5/middleware"
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
// below.
func (p Proxies) Handler(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	prefixes := make([]string, len(p))
	for i, prefix := range p {
		prefixes[i] = prefix.String()
	}
	return middleware.ClientIPFromXFF(prefixes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Trust(peer(r)) {
			r = r.WithContext(context.WithValue(r.Context(), saidKey{}, said{
				host:  first(r.Header.Get("X-Forwarded-Host")),
				proto: first(r.Header.Get("X-Forwarded-Proto")),
			}))
		}
		next.ServeHTTP(w, r)
	}))
}

// said is what a trusted proxy says about a request. Unlike addresses, a client may have
// made it up if the proxy does not replace it, so use it only for what concerns that
// client alone.
type said struct{ host, proto string }

type saidKey struct{}

func first(list string) string {
	word, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(word)
}

// Client returns the address of the client that made a request: behind trusted proxies
// that of their client, else that of the peer. IPv4 addresses are never written as IPv6
// ones, and there is no zone. It is the zero Addr if the request did not come over IP.
func Client(r *http.Request) netip.Addr {
	if addr := middleware.GetClientIPAddr(r.Context()); addr.IsValid() {
		return addr.WithZone("")
	}
	return peer(r)
}

func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// Network returns what an address stands for when clients are counted: itself, or of IPv6
// the network (/64) that a host has to itself. A loopback address stands for nothing (ok
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
