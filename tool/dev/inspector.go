package main

import (
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"os"
)

// inspectPath is where the server's inspector is, at dev's own address, too.
const inspectPath = "/inspect/"

// enterPath leads to the inspector, with its token.
const enterPath = "/__dev/inspect"

// inspector is that of the servers that dev runs: they have one address for it, and one
// token, so that its pages outlive them.
type inspector struct{ addr, token string }

// newInspector finds a free address. The token goes to the servers by their environment.
func newInspector() (inspector, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return inspector{}, err
	}
	i := inspector{addr: l.Addr().String(), token: rand.Text()}
	if err := l.Close(); err != nil {
		return inspector{}, err
	}
	return i, os.Setenv("TROUPE_INSPECT_TOKEN", i.token)
}

// flags are those of a server.
func (i inspector) flags() []string { return []string{"-debug-addr", i.addr, "-inspect", "write"} }

// link is its address below dev's origin.
func (i inspector) link() string { return inspectPath + "?token=" + i.token }

// enter leads to the inspector. The token is not in the page, which may show what others
// wrote; the inspector refuses to be entered from other pages than dev's. Only this machine gets
// it: dev's address may be one that others reach.
func (i inspector) enter(w http.ResponseWriter, r *http.Request) {
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !peer.Addr().Unmap().IsLoopback() {
		http.Error(w, "the inspector is for the machine that runs make dev", http.StatusForbidden)
		return
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, i.link(), http.StatusSeeOther)
}
