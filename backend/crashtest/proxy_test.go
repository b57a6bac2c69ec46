package crashtest

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// proxy is the network between clients and the server. Its links can be cut.
type proxy struct {
	listener net.Listener
	target   func() string
	wait     sync.WaitGroup

	mu    sync.Mutex
	links map[*link]bool
	cuts  int
}

type link struct{ client, server net.Conn }

func newProxy(t *testing.T, target func() string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, links: map[*link]bool{}}
	p.wait.Go(p.acceptLoop)
	t.Cleanup(func() {
		_ = l.Close()
		p.cutAll()
		p.wait.Wait()
	})
	return p
}

func (p *proxy) acceptLoop() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target())
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{client, server}
		p.mu.Lock()
		p.links[l] = true
		p.mu.Unlock()
		p.wait.Go(func() { p.pump(l, client, server) })
		p.wait.Go(func() { p.pump(l, server, client) })
	}
}

func (p *proxy) pump(l *link, from, to net.Conn) {
	_, _ = io.Copy(to, from)
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	l.cut()
}

// cut resets the link: data in flight is lost.
func (l *link) cut() {
	for _, c := range []net.Conn{l.client, l.server} {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

// cutOne cuts a random link.
func (p *proxy) cutOne(r *rand.Rand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	skip := 0
	if len(p.links) > 0 {
		skip = r.IntN(len(p.links))
	}
	for l := range p.links {
		if skip == 0 {
			p.cuts++
			l.cut()
			return
		}
		skip--
	}
}

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		p.cuts++
		l.cut()
	}
}
