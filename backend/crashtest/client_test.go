package crashtest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/wire"
)

// client is a page: one socket, which is cut and opened again, with a connection to a
// chat room and one to a game room.
type client struct {
	name  string
	group *group
	wait  sync.WaitGroup
	end   context.CancelFunc

	mu         sync.Mutex
	rand       *mathrand.Rand
	ws         *websocket.Conn
	chat, game *connection
	channels   uint32 // the newest channel of this socket
	sockets    int
	faults     []string
}

// connection is a client's cursor on an actor's log. client.mu guards it.
type connection struct {
	client *client
	actor  string
	key    string
	params any
	listen string // the event that it subscribes to

	secret, caller string
	channel        uint32
	live           bool // the opening is over: calls may be sent
	id, log        string
	seq            uint64
	resumes        int

	opens    uint64 // how often it was opened
	moves    int    // how often it was told so on this socket that the actor has moved
	lastCall uint64
	pending  []*call
	refused  []*call // by a cluster that is broken: had no effect, and will be made again
	replies  []*call
	events   []wire.ServerMessage
	byText   map[string]bool // of events
}

type call struct {
	id     uint64
	action string
	args   []string
	text   string
	result json.RawMessage
}

func random128() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func newClient(g *group, name string, seed uint64) *client {
	c := newIdleClient(g, name, seed)
	c.chat = c.connect("chatRoom", g.room(name), map[string]string{"userId": name, "name": "the " + name}, "messageReceived")
	c.game = c.connect("gameRoom", g.name, map[string]string{"playerId": name}, "privateMessage")
	c.start()
	return c
}

// newIdleClient returns a client that needs two connections, and a start.
func newIdleClient(g *group, name string, seed uint64) *client {
	return &client{name: name, group: g, rand: mathrand.New(mathrand.NewPCG(seed, 1))}
}

func (c *client) connect(actor, key string, params any, listen string) *connection {
	return &connection{client: c, actor: actor, key: key, params: params, listen: listen, secret: random128(), caller: random128(), byText: map[string]bool{}}
}

func (c *client) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.end = func() { cancel(); c.wait.Wait() }
	c.wait.Go(func() { c.run(ctx) })
}

// fault records a violation. Hold mu.
func (c *client) fault(format string, args ...any) {
	c.faults = append(c.faults, c.name+": "+fmt.Sprintf(format, args...))
}

// run keeps a socket until ctx ends.
func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		c.session(ctx)
		c.mu.Lock()
		away := c.group.away + time.Duration(c.rand.IntN(5))*time.Millisecond
		switch c.rand.IntN(20) {
		case 0, 1:
			away = time.Duration(c.rand.Int64N(int64(*awayFlag)))
		case 2, 3, 4, 5, 6, 7:
			away = time.Duration(c.rand.IntN(50)) * time.Millisecond
		}
		c.mu.Unlock()
		select {
		case <-time.After(away):
		case <-ctx.Done():
		}
	}
}

// session is the life of one socket.
func (c *client) session(ctx context.Context) {
	dialing, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(dialing, c.group.url, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(-1)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ws, c.chat.live, c.game.live = nil, false, false
	}()
	for first := true; ; first = false {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			return
		}
		c.mu.Lock()
		if first {
			c.ws = ws
			c.sockets++
			c.channels, c.chat.moves, c.game.moves = 0, 0, 0
			c.chat.open()
			c.game.open()
		}
		again := c.receive(frame)
		c.mu.Unlock()
		if !again {
			return
		}
	}
}

// send writes a message. It ignores errors: the reader finds a broken link. Hold mu.
func (c *client) send(m wire.ClientMessage) {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.ws.Write(ctx, websocket.MessageText, b)
}

// receive handles a frame. It reports false if the socket has ended. Hold mu.
func (c *client) receive(frame []byte) bool {
	var messages []wire.ServerMessage
	if frame[0] != '[' {
		frame = append(append([]byte{'['}, frame...), ']')
	}
	if err := json.Unmarshal(frame, &messages); err != nil {
		c.fault("frame %q: %v", frame, err)
		return false
	}
	for _, m := range messages {
		switch {
		case m.Type == wire.TypeBeat:
			c.send(wire.ClientMessage{Type: wire.TypeBeat})
		case m.Type == wire.TypeClosed:
			if !m.Reconnect {
				c.fault("closed permanently: %s %s", m.Code, m.Message)
			}
			if m.Code != wire.CodeMoved || !c.moved(m.Channel) {
				return false
			}
		case m.Type == wire.TypeError:
			c.fault("error %s: %s", m.Code, m.Message)
		case m.Channel == 0:
		case m.Channel == c.chat.channel:
			c.chat.receive(m)
		case m.Channel == c.game.channel:
			c.game.receive(m)
		case m.Type == wire.TypeFail && m.Code == wire.CodeUnknownChannel: // of a call that was on its way
		default:
			c.fault("a message of channel %d, which is closed: %+v", m.Channel, m)
		}
	}
	return true
}

// moved opens a connection again whose actor runs on another node now. It reports false if
// that has happened too often on this socket. Hold mu.
func (c *client) moved(channel uint32) bool {
	for _, k := range []*connection{c.chat, c.game} {
		if k.channel == channel {
			k.moves++
			k.live = false
			k.open()
			return k.moves < 4
		}
	}
	return true
}

func (k *connection) open() {
	key, _ := json.Marshal([]string{k.key})
	params, _ := json.Marshal(k.params)
	k.client.channels++
	k.channel = k.client.channels
	k.opens++
	k.client.send(wire.ClientMessage{
		Type: wire.TypeOpen, Channel: k.channel, N: k.opens, Actor: k.actor, Key: key, Params: params, Subs: []string{k.listen},
		Secret: k.secret, Caller: k.caller, Log: k.log, Seq: k.seq, Ack: k.answered(),
	})
}

// answered is the id up to which every call has been answered.
func (k *connection) answered() uint64 {
	if len(k.pending) > 0 {
		return k.pending[0].id - 1
	}
	return k.lastCall
}

// call runs an action, and repeats it until it is answered.
func (k *connection) call(text, action string, args ...string) {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	k.callLocked(text, action, args...)
}

func (k *connection) callLocked(text, action string, args ...string) {
	k.lastCall++
	c := &call{id: k.lastCall, action: action, args: args, text: text}
	k.pending = append(k.pending, c)
	if k.live {
		k.sendCall(c)
	}
}

func (k *connection) sendCall(c *call) {
	m := wire.ClientMessage{Type: wire.TypeCall, Channel: k.channel, ID: c.id, Action: c.action, Seq: k.seq, Ack: k.answered()}
	for _, arg := range c.args {
		b, _ := json.Marshal(arg)
		m.Args = append(m.Args, b)
	}
	k.client.send(m)
}

func (k *connection) receive(m wire.ServerMessage) {
	fault := k.client.fault
	switch m.Type {
	case wire.TypeOpened:
		switch {
		case k.id == "":
			k.id, k.log = m.ConnID, m.Log
		case !m.Resumed || m.Lost != nil || m.ConnID != k.id || m.Log != k.log:
			fault("%s came back as %+v (lost %+v), want connection %s of log %s, resumed", k.actor, m, m.Lost, k.id, k.log)
		default:
			k.resumes++
		}
		if m.Seq < k.seq {
			fault("%s starts at %d, it was at %d", k.actor, m.Seq, k.seq)
		}
	case wire.TypeEvent:
		var event struct{ Text, Message string }
		if err := json.Unmarshal(m.Data, &event); err != nil {
			fault("event %s: %v", m.Data, err)
		}
		if m.Seq <= k.seq {
			fault("%s: event %d %s after %d", k.actor, m.Seq, m.Data, k.seq)
		}
		if m.Event != k.listen {
			break // direct events need no subscription
		}
		k.events = append(k.events, m)
		k.byText[event.Text+event.Message] = true
		k.client.group.sawEvent()
	case wire.TypeReply, wire.TypeFail:
		k.answer(m)
	case wire.TypeAt:
		if !k.live {
			k.live = true
			for _, c := range k.pending {
				k.sendCall(c)
			}
		}
	default:
		fault("unexpected %+v", m)
	}
	k.seq = max(k.seq, m.Seq)
}

func (k *connection) answer(m wire.ServerMessage) {
	for i, c := range k.pending {
		if c.id != m.ID {
			continue
		}
		k.pending = append(k.pending[:i:i], k.pending[i+1:]...)
		if m.Type == wire.TypeFail && k.client.group.refuses && (m.Code == wire.CodeUnavailable || m.Code == wire.CodeOverloaded) {
			k.again(c)
			return
		}
		if m.Type == wire.TypeFail {
			k.client.fault("%s: call %d %q failed: %s %s", k.actor, c.id, c.text, m.Code, m.Message)
		}
		if c.action == "sendMessage" && !k.byText[c.text] {
			k.client.fault("the reply of %q came before its event", c.text)
		}
		c.result = m.Data
		k.replies = append(k.replies, c)
		return
	}
	k.client.fault("%s: an answer to call %d, which is not waiting for one: %+v", k.actor, m.ID, m)
}

// again makes a call that was refused, and so had no effect, after a while again, as another one.
func (k *connection) again(c *call) {
	k.refused = append(k.refused, c)
	time.AfterFunc(100*time.Millisecond, func() {
		k.client.mu.Lock()
		defer k.client.mu.Unlock()
		k.refused = slices.DeleteFunc(k.refused, func(r *call) bool { return r == c })
		k.callLocked(c.text, c.action, c.args...)
	})
}
