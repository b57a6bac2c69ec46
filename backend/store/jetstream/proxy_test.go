package jetstream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// proxy is between a client and the server in this process. It loses answers, and gives
// answers that a replica which is behind would give.
type proxy struct {
	server *server.Server

	mu       sync.Mutex
	lose     func(subject string, data []byte) bool // an answer to the client
	lost     int
	replay   bool                // Direct Gets of heads get the answer that was recorded
	replayed int                 // how often
	asked    map[string]string   // what was asked, by the answers' subject
	record   map[string][][]byte // the answers, by what was asked
	sids     map[string]string   // of subscriptions, by what their subjects begin with
	api      []string            // requests to JetStream, without Direct Gets and what is published
	scans    int                 // requests for many messages of a journal
	deaf     int                 // so many requests for messages of a consumer meet nobody
}

var barrierIn = regexp.MustCompile(`[^ ]*\.s\.b\.[0-9a-f]+`)

func newProxy(t testing.TB) (*proxy, backend) {
	b := oneServer(t)
	p := &proxy{server: servers.one, asked: map[string]string{}, record: map[string][][]byte{}, sids: map[string]string{}}
	b.options = []nats.Option{nats.InProcessServer(p)}
	return p, b
}

func (p *proxy) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// InProcessConn implements nats.InProcessConnProvider.
func (p *proxy) InProcessConn() (net.Conn, error) {
	up, err := p.server.InProcessConn()
	if err != nil {
		return nil, err
	}
	client, down := net.Pipe()
	end := func() { _ = up.Close(); _ = down.Close() }
	var writing sync.Mutex // of down
	go func() {
		defer end()
		p.toServer(bufio.NewReader(down), up, down, &writing)
	}()
	go func() {
		defer end()
		p.toClient(bufio.NewReader(up), down, &writing)
	}()
	return client, nil
}

// headIn returns the part of a request that says which head is asked for.
func headIn(request string) string {
	head, _, _ := strings.Cut(request, ",")
	return head
}

// frame reads a line of NATS' protocol, with its payload if it has one.
func frame(r *bufio.Reader) (fields []string, all, payload []byte, err error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, nil, nil, err
	}
	fields = strings.Fields(string(line))
	if len(fields) == 0 {
		return fields, line, nil, nil
	}
	switch fields[0] {
	case "PUB", "HPUB", "MSG", "HMSG":
		n, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil {
			return nil, nil, nil, err
		}
		payload = make([]byte, n+2)
		if _, err := io.ReadFull(r, payload); err != nil {
			return nil, nil, nil, err
		}
		line = append(line, payload...)
	}
	return fields, line, payload, nil
}

// request notes a request, and reports whether it meets nobody.
func (p *proxy) request(subject string) (nobody bool) {
	request, api := strings.CutPrefix(subject, "$JS.API.")
	if !api || strings.HasPrefix(request, "DIRECT.GET.") {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.api = append(p.api, request)
	if nobody = p.deaf > 0 && strings.HasPrefix(request, "CONSUMER.MSG.NEXT."); nobody {
		p.deaf--
	}
	return nobody
}

// requests returns how many of the requests to JetStream begin with a prefix.
func (p *proxy) requests(prefix string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, request := range p.api {
		if strings.HasPrefix(request, prefix) {
			n++
		}
	}
	return n
}

func (p *proxy) toServer(r *bufio.Reader, up, down io.Writer, writing *sync.Mutex) {
	for {
		fields, all, payload, err := frame(r)
		if err != nil {
			return
		}
		if len(fields) > 2 && fields[0] == "SUB" {
			p.set(func() { p.sids[strings.TrimSuffix(fields[1], "*")] = fields[len(fields)-1] })
		}
		if len(fields) == 4 && fields[0] == "PUB" && p.request(fields[1]) {
			p.mu.Lock()
			sid := p.sids[fields[2]]
			p.mu.Unlock()
			const nobody = "NATS/1.0 503\r\n\r\n"
			writing.Lock()
			fmt.Fprintf(down, "HMSG %s %s %d %d\r\n%s\r\n", fields[2], sid, len(nobody), len(nobody), nobody)
			writing.Unlock()
			continue
		}
		if bytes.Contains(payload, []byte("next_by_subj")) && bytes.Contains(payload, []byte("batch")) {
			p.set(func() { p.scans++ })
		}
		if len(fields) == 4 && fields[0] == "PUB" && strings.Contains(fields[1], "DIRECT.GET.") && bytes.Contains(payload, []byte("multi_last")) {
			request := string(payload)
			p.mu.Lock()
			p.asked[fields[2]] = request
			answers := p.record[request]
			if answers == nil { // another store may have asked for the same head
				answers = p.record[headIn(request)]
			}
			replay := p.replay && answers != nil
			if replay {
				p.replayed++
			} else {
				delete(p.record, request)
				delete(p.record, headIn(request))
			}
			sid := p.sids[fields[2][:strings.LastIndexByte(fields[2], '.')+1]]
			p.mu.Unlock()
			if replay {
				writing.Lock()
				for _, a := range answers {
					if barrier := barrierIn.Find(a); barrier != nil && !bytes.Contains(payload, barrier) {
						continue // it is that of another store
					}
					n := bytes.Index(a, []byte("\r\n\r\n")) + 4
					fmt.Fprintf(down, "HMSG %s %s %d %d\r\n", fields[2], sid, n, len(a)-2)
					_, _ = down.Write(a)
				}
				writing.Unlock()
				continue
			}
		}
		if _, err := up.Write(all); err != nil {
			return
		}
	}
}

func (p *proxy) toClient(r *bufio.Reader, down io.Writer, writing *sync.Mutex) {
	for {
		fields, all, payload, err := frame(r)
		if err != nil {
			return
		}
		if payload != nil {
			p.mu.Lock()
			lose := p.lose != nil && p.lose(fields[1], payload)
			if lose {
				p.lost++
			}
			if request, ok := p.asked[fields[1]]; ok && !p.replay {
				p.record[request] = append(p.record[request], payload)
				p.record[headIn(request)] = append(p.record[headIn(request)], payload)
			}
			p.mu.Unlock()
			if lose {
				continue
			}
		}
		writing.Lock()
		_, err = down.Write(all)
		writing.Unlock()
		if err != nil {
			return
		}
	}
}
