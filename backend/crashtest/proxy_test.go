package crashtest

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// proxy is a network: between clients and the server, or from one node to another. Its links
// can be cut, and it can be down.
type proxy struct {
	listener net.Listener
	target   func() string
	wait     sync.WaitGroup

	mu     sync.Mutex
	links  map[*link]bool
	cuts   int
	down   bool          // it takes no links
	frozen chan struct{} // closed when data moves again; nil: it moves
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
		p.freeze(false)
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
		// From this address also to others of the loopback network.
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
		server, err := from.Dial("tcp", p.target())
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{client, server}
		p.mu.Lock()
		if p.down {
			p.mu.Unlock()
			l.cut()
			continue
		}
		p.links[l] = true
		p.mu.Unlock()
		p.wait.Go(func() { p.pump(l, client, server) })
		p.wait.Go(func() { p.pump(l, server, client) })
	}
}

func (p *proxy) pump(l *link, from, to net.Conn) {
	_, _ = io.Copy(gate{p, to}, from)
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	l.cut()
}

// gate passes data on while the network is not frozen.
type gate struct {
	p  *proxy
	to io.Writer
}

func (g gate) Write(b []byte) (int, error) {
	g.p.mu.Lock()
	frozen := g.p.frozen
	g.p.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	return g.to.Write(b)
}

// freeze holds all data back, or lets it move again.
func (p *proxy) freeze(frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
	if frozen {
		p.frozen = make(chan struct{})
	}
}

// setDown cuts all links and refuses others, or takes links again.
func (p *proxy) setDown(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.cutAll()
	}
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
