package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/wire"
)

// client is one socket of a page. It collects what it gets; take returns it.
type client struct {
	t    testing.TB
	pipe pipe
	ws   *websocket.Conn // nil over HTTP
	conn net.Conn        // below ws; nil if unknown

	wait sync.WaitGroup

	light atomic.Bool // only the numbers of events are decoded: a race detector is slow

	mu       sync.Mutex
	changed  sync.Cond
	got      []wire.ServerMessage
	frames   []int // messages in each frame
	beats    int
	deaf     bool // does not answer beats
	paused   bool // does not read
	closeErr error
	closed   bool
}

// dialPipe opens a socket through memory, for a synctest bubble.
func dialPipe(t testing.TB, h http.Handler) *client {
	t.Helper()
	c, resp, err := tryDialPipe(t, h, nil, "/api/socket?v=1")
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, resp)
	}
	return c
}

func tryDialPipe(t testing.TB, h http.Handler, header http.Header, path string) (*client, *http.Response, error) {
	transport := &pipeTransport{h: h}
	ws, resp, err := websocket.Dial(context.Background(), "ws://example.com"+path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header,
	})
	if err != nil {
		return nil, resp, err
	}
	return newClient(t, ws, transport.conn), resp, nil
}

// A pipe is how a client sends and gets frames.
type pipe interface {
	read() ([]byte, error)
	write(frame []byte) error
	cut() // without a word
}

func newClient(t testing.TB, ws *websocket.Conn, conn net.Conn) *client {
	ws.SetReadLimit(-1)
	return startClient(&client{t: t, pipe: wsPipe{ws, conn}, ws: ws, conn: conn})
}

func startClient(c *client) *client {
	c.changed.L = &c.mu
	c.wait.Go(c.readLoop)
	return c
}

type wsPipe struct {
	ws   *websocket.Conn
	conn net.Conn
}

func (p wsPipe) read() ([]byte, error) {
	_, b, err := p.ws.Read(context.Background())
	return b, err
}

func (p wsPipe) write(frame []byte) error {
	return p.ws.Write(context.Background(), websocket.MessageText, frame)
}

func (p wsPipe) cut() {
	if p.conn != nil {
		_ = p.conn.Close()
	}
	_ = p.ws.CloseNow()
}

// pipeTransport is an http.RoundTripper that serves upgrades over net.Pipe.
type pipeTransport struct {
	h    http.Handler
	conn net.Conn // the client's end
}

func (p *pipeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	client, server := net.Pipe()
	rec := &pipeRecorder{ResponseRecorder: httptest.NewRecorder(), conn: server}
	r = r.Clone(r.Context())
	r.RequestURI, r.Host = r.URL.RequestURI(), r.URL.Host
	p.h.ServeHTTP(rec, r)
	resp := rec.Result()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = client
		p.conn = client
	}
	return resp, nil
}

type pipeRecorder struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (r *pipeRecorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return r.conn, bufio.NewReadWriter(bufio.NewReader(r.conn), bufio.NewWriter(r.conn)), nil
}

func (c *client) readLoop() {
	for {
		c.mu.Lock()
		for c.paused && !c.closed {
			c.changed.Wait()
		}
		c.mu.Unlock()
		b, err := c.pipe.read()
		c.mu.Lock()
		if err != nil {
			c.closed, c.closeErr = true, err
			c.changed.Broadcast()
			c.mu.Unlock()
			return
		}
		if c.light.Load() {
			const mark = `"t":"event","s":`
			for rest := b; ; {
				_, after, ok := bytes.Cut(rest, []byte(mark))
				if !ok {
					break
				}
				number, _, _ := bytes.Cut(after, []byte(","))
				n, err := strconv.ParseUint(string(number), 10, 64)
				if err != nil {
					c.t.Error(err)
				}
				c.got = append(c.got, wire.ServerMessage{Type: wire.TypeEvent, Seq: n})
				rest = after
			}
			c.changed.Broadcast()
			c.mu.Unlock()
			if bytes.Contains(b, []byte(wire.Beat)) {
				_ = c.pipe.write([]byte(wire.Beat))
			}
			continue
		}
		messages, err := wire.Split(b)
		if err != nil {
			c.t.Errorf("the server sent %q: %v", b, err)
		}
		c.frames = append(c.frames, len(messages))
		beat := false
		for _, raw := range messages {
			var m wire.ServerMessage
			if err := json.Unmarshal(raw, &m); err != nil {
				c.t.Errorf("the server sent %s: %v", raw, err)
			}
			if m.Type == wire.TypeBeat {
				c.beats++
				beat = !c.deaf
				continue
			}
			c.got = append(c.got, m)
		}
		c.changed.Broadcast()
		c.mu.Unlock()
		if beat {
			_ = c.pipe.write([]byte(wire.Beat))
		}
	}
}

// send sends frames as they are.
func (c *client) send(frames ...string) {
	c.t.Helper()
	for _, f := range frames {
		if err := c.pipe.write([]byte(f)); err != nil {
			c.t.Fatalf("send %.100s: %v", f, err)
		}
	}
}

// try is send that may fail.
func (c *client) try(frame string) {
	_ = c.pipe.write([]byte(frame))
}

// open sends an open of room lobby as the connection of a name; fields are added.
func (c *client) open(channel int, name string, fields ...string) {
	c.t.Helper()
	c.send(openFrame(channel, name, fields...))
}

func openFrame(channel int, name string, fields ...string) string {
	f := []string{fmt.Sprintf(`{"t":"open","c":%d`, channel)}
	if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, `"actor`) }) {
		f = append(f, `"actor":"room"`)
	}
	if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, `"key"`) || strings.HasPrefix(f, `"actorId"`) }) {
		f = append(f, `"key":["lobby"]`)
	}
	if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, `"k"`) }) {
		f = append(f, `"k":"`+secretOf(name)+`"`)
	}
	if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, `"caller"`) }) {
		f = append(f, `"caller":"`+secretOf("caller "+name)+`"`)
	}
	return strings.Join(append(f, fields...), ",") + "}"
}

// secretOf makes 128 bits of a name.
func secretOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// connOf is the id of the connection of a name.
func connOf(name string) string {
	sum := sha256.Sum256([]byte(secretOf(name)))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func (c *client) call(channel, id int, action string, args ...any) {
	c.t.Helper()
	c.send(callFrame(channel, id, action, args...))
}

func callFrame(channel, id int, action string, args ...any) string {
	b, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	if len(args) == 0 {
		b = []byte("[]")
	}
	return fmt.Sprintf(`{"t":"call","c":%d,"id":%d,"a":%q,"args":%s}`, channel, id, action, b)
}

// take returns what has come since the last take, in short: see brief.
func (c *client) take() []string {
	var lines []string
	for _, m := range c.takeMessages() {
		lines = append(lines, brief(m))
	}
	return lines
}

func (c *client) takeMessages() []wire.ServerMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got, c.frames = nil, nil
	return got
}

// await waits until f is true of what has come, and returns that.
func (c *client) await(what string, f func(got []wire.ServerMessage) bool) []wire.ServerMessage {
	c.t.Helper()
	timer := time.AfterFunc(20*time.Second, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer timer.Stop()
	deadline := time.Now().Add(20 * time.Second)
	c.mu.Lock()
	defer c.mu.Unlock()
	for !f(c.got) {
		if c.closed || time.Now().After(deadline) {
			c.t.Fatalf("waiting for %s: closed %v (%v), got %d messages", what, c.closed, c.closeErr, len(c.got))
		}
		c.changed.Wait()
	}
	return c.got
}

// expect compares what has come with want.
func (c *client) expect(want ...string) {
	c.t.Helper()
	got := c.take()
	if !slices.Equal(got, want) {
		c.t.Fatalf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// isOpen fails the test if the socket is closed.
func (c *client) isOpen() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.t.Fatalf("the socket is closed: %v", c.closeErr)
	}
}

// status returns the WebSocket status that the socket was closed with, -1 if
// none, 0 if it is open.
func (c *client) status() websocket.StatusCode {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		return 0
	}
	return websocket.CloseStatus(c.closeErr)
}

func (c *client) pause(paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = paused
	c.changed.Broadcast()
}

func (c *client) setDeaf(deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = deaf
}

// cut breaks the link without a close frame.
func (c *client) cut() {
	c.pause(false)
	c.pipe.cut()
	c.wait.Wait()
}

// brief is a message in short.
func brief(m wire.ServerMessage) string {
	on := ""
	if m.Channel > 0 {
		on = fmt.Sprintf("%d ", m.Channel)
	}
	switch m.Type {
	case wire.TypeHello, wire.TypeBye:
		return m.Type
	case wire.TypeOpened:
		s := fmt.Sprintf("%sopened %d", on, m.Seq)
		if m.Resumed {
			s += " resumed"
		}
		if m.Lost != nil {
			s += fmt.Sprintf(" lost %s %d %v", m.Lost.Reason, m.Lost.Missed, m.Lost.Exact)
		}
		return s
	case wire.TypeEvent:
		return fmt.Sprintf("%sevent %d %s %s", on, m.Seq, m.Event, short(m.Data))
	case wire.TypeReply:
		return fmt.Sprintf("%sreply %d #%d %s", on, m.Seq, m.ID, short(m.Data))
	case wire.TypeFail:
		return fmt.Sprintf("%sfail #%d %s%s", on, m.ID, m.Code, short(m.Metadata))
	case wire.TypeAt:
		return fmt.Sprintf("%sat %d", on, m.Seq)
	case wire.TypeClosed:
		return fmt.Sprintf("%sclosed %s %v%s", on, m.Code, m.Reconnect, short(m.Metadata))
	case wire.TypeError:
		return fmt.Sprintf("%serror %s%s", on, m.Code, short(m.Metadata))
	}
	return "?" + m.Type
}

func short(b []byte) string {
	if len(b) > 80 {
		return fmt.Sprintf("%d bytes", len(b))
	}
	return string(b)
}

// expectSorted is expect for messages that may come in any order, sorted.
func (c *client) expectSorted(want ...string) {
	c.t.Helper()
	got := c.take()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		c.t.Fatalf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
