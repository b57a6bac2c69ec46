package attack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/troupe-dev/troupe/backend/wire"
)

// visitor is somebody at an address.
type visitor struct {
	s    *server
	addr string
	http *http.Client
	sent atomic.Int64 // bytes

	mu   sync.Mutex
	rand *mathrand.Rand
}

const (
	strangerAddr  = "203.0.113.9"
	bystanderAddr = "198.51.100.7"
)

func (s *server) visitor(addr string) *visitor {
	v := &visitor{s: s, addr: addr, rand: mathrand.New(mathrand.NewPCG(*seed, uint64(len(addr))))}
	v.http = &http.Client{Transport: &http.Transport{DialContext: s.dial(&v.sent), MaxIdleConnsPerHost: 16}}
	s.t.Cleanup(v.http.CloseIdleConnections)
	return v
}

// secret returns 128 random bits.
func (v *visitor) secret() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], v.rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], v.rand.Uint64())
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// post makes an HTTP request and returns its status. The header has pairs of names and values.
func (v *visitor) post(path string, body any, header ...string) (status int, answer []byte) {
	v.s.t.Helper()
	status, answer, err := v.tryPost(path, body, header...)
	if err != nil {
		v.s.t.Fatal(err)
	}
	return status, answer
}

func (v *visitor) tryPost(path string, body any, header ...string) (status int, answer []byte, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+v.s.addr+path, bytes.NewReader(b))
	if err != nil {
		return 0, nil, err
	}
	if p := v.s.paced.Load(); p != nil && v.addr == strangerAddr {
		_ = p.calls.Wait(r.Context())
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", v.addr)
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	response, err := v.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// action makes a single call that must succeed.
func (v *visitor) action(actor, action, key, idempotencyKey string, args ...any) {
	v.s.t.Helper()
	var header []string
	if idempotencyKey != "" {
		header = []string{"Idempotency-Key", idempotencyKey}
	}
	if args == nil {
		args = []any{}
	}
	if status, answer := v.post("/api/actors/"+actor+"/actions/"+action+"?key="+key, map[string]any{"args": args}, header...); status != http.StatusOK {
		v.s.t.Errorf("%s: %d %s", action, status, answer)
	}
}

// each calls f n times, a few at the same time, with the numbers from 0.
func each(n int, f func(i int)) { eachOf(4, n, f) }

// eachOf is each with a number of calls at the same time.
func eachOf(workers, n int, f func(i int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wait.Wait()
}

// socket is a WebSocket of a visitor.
type socket struct {
	v    *visitor
	ws   *websocket.Conn
	rest []wire.ServerMessage // received, and not awaited yet
}

const patience = 30 * time.Second

// tryDial opens a socket, with further pairs of a header.
func (v *visitor) tryDial(header ...string) (*socket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if p := v.s.paced.Load(); p != nil && v.addr == strangerAddr {
		_ = p.connects.Wait(ctx)
	}
	h := http.Header{"X-Forwarded-For": {v.addr}}
	for pair := range slices.Chunk(header, 2) {
		h.Set(pair[0], pair[1])
	}
	client := &http.Client{Transport: &http.Transport{DialContext: v.s.dial(&v.sent)}}
	ws, _, err := websocket.Dial(ctx, "ws://"+v.s.addr+"/api/socket?v=1", &websocket.DialOptions{HTTPClient: client, HTTPHeader: h})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1)
	return &socket{v: v, ws: ws}, nil
}

// socket opens a socket that is closed at the end of the test.
func (v *visitor) socket(header ...string) *socket {
	v.s.t.Helper()
	k, err := v.tryDial(header...)
	if err != nil {
		v.s.t.Fatal(err)
	}
	v.s.t.Cleanup(k.drop)
	return k
}

// drop cuts the socket off.
func (k *socket) drop() { _ = k.ws.CloseNow() }

func (k *socket) send(m wire.ClientMessage) {
	k.v.s.t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := k.ws.Write(ctx, websocket.MessageText, b); err != nil {
		k.v.s.t.Error(err)
	}
}

// receive returns the next message.
func (k *socket) receive() (m wire.ServerMessage, err error) {
	for len(k.rest) == 0 {
		if k.rest, err = k.read(); err != nil {
			return m, err
		}
	}
	m, k.rest = k.rest[0], k.rest[1:]
	return m, nil
}

// read reads a frame.
func (k *socket) read() ([]wire.ServerMessage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, frame, err := k.ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	if frame[0] != '[' {
		frame = slices.Concat([]byte{'['}, frame, []byte{']'})
	}
	var messages []wire.ServerMessage
	err = json.Unmarshal(frame, &messages)
	return messages, err
}

// await returns the first message that fits, and all that came before it.
func (k *socket) await(fits func(wire.ServerMessage) bool) (m wire.ServerMessage, before []wire.ServerMessage) {
	k.v.s.t.Helper()
	for {
		m, err := k.receive()
		if err != nil {
			k.v.s.t.Fatal(err)
		}
		if fits(m) {
			return m, before
		}
		before = append(before, m)
	}
}

func isType(types ...string) func(wire.ServerMessage) bool {
	return func(m wire.ServerMessage) bool { return slices.Contains(types, m.Type) }
}

// open makes a message that opens a channel.
func (v *visitor) open(channel uint32, actor, key string, params any) wire.ClientMessage {
	k, _ := json.Marshal([]string{key})
	p, _ := json.Marshal(params)
	return wire.ClientMessage{
		Type: wire.TypeOpen, Channel: channel, Actor: actor, Key: k, Params: p, Secret: v.secret(), Caller: v.secret(),
	}
}

func call(channel uint32, id uint64, action string, args ...any) wire.ClientMessage {
	m := wire.ClientMessage{Type: wire.TypeCall, Channel: channel, ID: id, Action: action, Args: []json.RawMessage{}}
	for _, a := range args {
		b, _ := json.Marshal(a)
		m.Args = append(m.Args, b)
	}
	return m
}

// bystander calls an action of another actor from another address, again and again.
type bystander struct {
	k    *socket
	next uint64
}

func (s *server) bystander() *bystander {
	s.t.Helper()
	v := s.visitor(bystanderAddr)
	k := v.socket()
	k.send(v.open(1, "chatRoom", "bystander", map[string]string{"userId": "by"}))
	k.await(isType(wire.TypeAt))
	return &bystander{k: k}
}

// call makes a call and returns how long it took.
func (b *bystander) call() time.Duration {
	b.k.v.s.t.Helper()
	b.next++
	begin := time.Now()
	b.k.send(call(1, b.next, "sendMessage", "by", "hello"))
	m, _ := b.k.await(isType(wire.TypeReply, wire.TypeFail))
	if m.Type == wire.TypeFail {
		b.k.v.s.t.Errorf("the bystander's call failed: %s %s", m.Code, m.Message)
	}
	return time.Since(begin)
}

// pace is how much one address may do in the long run.
type pace struct{ calls, connects *rate.Limiter }

// The defaults of -call-rate-per-ip and -connect-rate-per-ip.
const (
	callRate    = 500
	connectRate = 50
)

// attacked makes an attack while a bystander calls. In the long form it checks how long
// the bystander's calls take: at most three times as long as without the attack, and 50 ms.
// The attack is as quick as one address may be. Without limits four attackers would take all
// the processors there are, and the bystander would measure the scheduler of the system.
//
// "Without the attack" is before it, or at the same time: as another bystander notices, of
// a server that nobody attacks, on the same machine and disk. Attackers share those, too.
func (s *server) attacked(t *testing.T, attack func()) {
	t.Helper()
	if !*long {
		attack()
		s.bystander().call()
		return
	}
	here, elsewhere := s.watch(), start(t).watch()
	time.Sleep(5 * time.Second)
	calm, _ := here.mark()
	elsewhere.mark()
	s.paced.Store(&pace{rate.NewLimiter(callRate, 1), rate.NewLimiter(connectRate, 1)})
	attack()
	s.paced.Store(nil)
	p99, worst := here.mark()
	without, _ := elsewhere.mark()
	here.end()
	elsewhere.end()
	t.Logf("the bystander's p99: %v before the attack, %v under attack, worst %v; at a server without, %v", calm, p99, worst, without)
	if limit := min(3*max(calm, without), 50*time.Millisecond); p99 > limit {
		t.Errorf("the bystander's p99 is %v, want at most %v", p99, limit)
	}
}

// perRequest does a number of requests, in five parts, and returns the server's CPU time for
// each: the median of the parts, so that one in which the server cleans up does not count.
func (s *server) perRequest(n int, f func(i int)) time.Duration {
	s.t.Helper()
	const parts = 5
	var all []time.Duration
	for range parts {
		begin := s.cpu()
		f(n / parts)
		all = append(all, (s.cpu()-begin)/time.Duration(n/parts))
	}
	slices.Sort(all)
	return all[parts/2]
}

// notGrowing checks that n further requests cost about what the first ones did. A busy machine
// makes some dearer, but not all: what costs more three times in a row has grown.
func (s *server) notGrowing(t *testing.T, what string, first time.Duration, n int, f func(n int)) {
	t.Helper()
	limit := 1.3
	if !*long {
		limit = 2 // fewer requests, on a machine that may be busy
	}
	ratio := 0.0
	for range 3 {
		last := s.perRequest(n, f)
		ratio = float64(last) / float64(max(first, 1))
		t.Logf("CPU per %s: %v first, %v last: %.2f times", what, first, last, ratio)
		if ratio <= limit {
			return
		}
	}
	t.Errorf("the last of the %ss cost %.1f times what the first did, want at most %.1f", what, ratio, limit)
}

// amplified checks the bytes that the server has written for those of an attacker.
func (s *server) amplified(t *testing.T, wrote, sent int64) {
	t.Helper()
	t.Logf("the server wrote %.1f MB for %.1f MB: %.1f times", float64(wrote)/1e6, float64(sent)/1e6, float64(wrote)/float64(sent))
	if wrote > 20*sent {
		t.Errorf("the server wrote %d bytes for %d of an attacker, want at most 20 times as many", wrote, sent)
	}
}

func name(i int) string { return fmt.Sprint("n", i) }
