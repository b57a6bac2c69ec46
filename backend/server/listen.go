package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/troupe-dev/troupe/backend/forwarded"
)

// front is the handler of an HTTP server, which can be replaced while it serves.
type front struct{ handler atomic.Pointer[http.Handler] }

func (f *front) set(h http.Handler) { f.handler.Store(&h) }

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*f.handler.Load()).ServeHTTP(w, r)
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// ownName returns the host of an address to listen on, none if it has none.
func ownName(addr string) forwarded.Hosts {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return nil
	}
	return forwarded.Hosts{strings.ToLower(host)}
}

// withBasePath serves h below a path, and also without it: a proxy may have stripped the
// path, and operators reach the server directly.
func withBasePath(base string, h http.Handler) http.Handler {
	if base == "" {
		return h
	}
	inside := http.StripPrefix(base, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == base:
			to := url.URL{Path: base + "/", RawQuery: r.URL.RawQuery}
			http.Redirect(w, r, to.String(), http.StatusPermanentRedirect)
		case strings.HasPrefix(r.URL.Path, base+"/"):
			inside.ServeHTTP(w, r)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// Listen listens on a TCP address, as Run does. Its error says what to do.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	if err := CheckAddr(addr); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	var unknown *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use: stop the other server, or choose another address", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &unknown):
		return nil, fmt.Errorf("the address %s is not one of this machine: want an IP address of it, or only a port, such as :8080", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("this user may not listen on %s: choose a port above 1023, or grant the capability CAP_NET_BIND_SERVICE", addr)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}
