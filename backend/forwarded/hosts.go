package forwarded

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Hosts are the names by which clients reach a server, in lower case and without ports. A
// page of any site can reach a server under the site's own name, if that name's owner has
// it resolve to the server's address (DNS rebinding): then the page and the server have one
// origin. So a server should answer for its own names only.
type Hosts []string

// ParseHosts reads names, as in "example.com, www.example.com". The error says what to write.
func ParseHosts(list string) (Hosts, error) {
	var h Hosts
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.ToLower(strings.TrimSpace(word)); word == "" {
			continue
		}
		if strings.ContainsAny(word, "/:*@ ") {
			return nil, fmt.Errorf("want names such as example.com, without a scheme, a port or *, got %q", word)
		}
		h = append(h, strings.TrimSuffix(word, "."))
	}
	return h, nil
}

// Allow reports whether a server answers for a host, with or without a port: one of h,
// localhost and its subdomains, or an IP address. DNS cannot lead these elsewhere.
func (h Hosts) Allow(host string) bool {
	name := host
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	}
	name = strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(h, name)
}

// Handler answers requests for other hosts with 421 and does not pass them on to next. Behind
// a trusted proxy the host is the one that the client requested (see Host). remedy says in
// the answer how to add a name.
func (h Hosts) Handler(next http.Handler, remedy string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := Host(r); !h.Allow(host) {
			http.Error(w, fmt.Sprintf("this server does not answer for the host %.253q; %s", host, remedy), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
