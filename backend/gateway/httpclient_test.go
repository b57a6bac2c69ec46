package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-dev/troupe/backend/wire"
)

// Clients that cannot have a WebSocket.
const (
	overStream = "stream"
	overPolls  = "polls"
)

// httpPipe is a pipe over HTTP, through memory, as a page has it.
type httpPipe struct {
	over   string
	server *http.Server
	listen *pipeListener
	client *http.Client

	events *bufio.Reader // of the stream; the reader's
	body   io.Closer
	poll   uint64 // the reader's

	posting chan struct{} // has an item while a post is under way: the server may let it wait

	mu     sync.Mutex
	socket string
	posts  uint64
}

// dialHTTP opens a socket over HTTP.
func dialHTTP(t testing.TB, h http.Handler, over string) *client {
	t.Helper()
	p := newHTTPPipe(h, over)
	if over == overStream {
		resp, err := p.client.Get("http://example.com/api/stream?v=1")
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
			t.Fatalf("got %s, %q", resp.Status, got)
		}
		p.events, p.body = bufio.NewReader(resp.Body), resp.Body
	}
	return startClient(&client{t: t, pipe: p})
}

func newHTTPPipe(h http.Handler, over string) *httpPipe {
	listen := newPipeListener()
	p := &httpPipe{over: over, server: &http.Server{Handler: h}, listen: listen, posting: make(chan struct{}, 1)}
	p.client = &http.Client{Transport: &http.Transport{DialContext: listen.dial}}
	go func() { _ = p.server.Serve(listen) }()
	return p
}

func (p *httpPipe) read() ([]byte, error) {
	b, err := p.readFrame()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.socket == "" {
		p.socket = socketOf(b)
	}
	return b, nil
}

// socketOf is the socket that a frame with a hello names.
func socketOf(frame []byte) string {
	messages, err := wire.Split(frame)
	if err != nil || len(messages) == 0 {
		return ""
	}
	var hello wire.ServerMessage
	_ = json.Unmarshal(messages[0], &hello)
	return hello.Socket
}

func (p *httpPipe) readFrame() ([]byte, error) {
	if p.over == overPolls {
		p.poll++
		return p.pollFor(p.poll, 20_000)
	}
	line, err := p.events.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if empty, err := p.events.ReadByte(); err != nil || empty != '\n' || !ok {
		return nil, fmt.Errorf("got the line %q and %q, %v after it", line, empty, err)
	}
	return data, nil
}

// pollFor makes a poll.
func (p *httpPipe) pollFor(n uint64, waitMs int) ([]byte, error) {
	p.mu.Lock()
	socket := p.socket
	p.mu.Unlock()
	resp, body, err := p.post("/api/poll", fmt.Sprintf(`{"socket":%q,"n":%d,"waitMs":%d}`, socket, n, waitMs))
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("poll: %s %s", resp.Status, body)
	}
	return body, err
}

// write sends a frame in a post of its own.
func (p *httpPipe) write(frame []byte) error {
	p.posting <- struct{}{}
	defer func() { <-p.posting }()
	p.mu.Lock()
	p.posts++
	socket, n := p.socket, p.posts
	p.mu.Unlock()
	resp, body, err := p.post("/api/stream", fmt.Sprintf(`{"socket":%q,"n":%d,"frame":%s}`, socket, n, frame))
	if err == nil && resp.StatusCode != 204 {
		err = fmt.Errorf("post: %s %s", resp.Status, body)
	}
	return err
}

func (p *httpPipe) post(path, body string) (*http.Response, []byte, error) {
	resp, err := p.client.Post("http://example.com"+path, "application/json", strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

func (p *httpPipe) cut() {
	p.listen.cut()
	if p.body != nil {
		_ = p.body.Close()
	}
	_ = p.server.Close()
	p.client.CloseIdleConnections()
}

// pipeListener is a net.Listener whose connections are pipes.
type pipeListener struct {
	conns chan net.Conn
	over  chan struct{}

	mu     sync.Mutex
	closed bool
	dialed []net.Conn
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), over: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	l.mu.Lock()
	l.dialed = append(l.dialed, client)
	l.mu.Unlock()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.over:
	case <-ctx.Done():
	}
	_ = client.Close()
	return nil, net.ErrClosed
}

// cut closes all connections, at the client's end.
func (l *pipeListener) cut() {
	_ = l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.dialed {
		_ = conn.Close()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.over:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.over)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
