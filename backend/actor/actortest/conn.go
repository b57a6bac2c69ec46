package actortest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

// Conn is a connection that collects what it receives. It subscribes to all
// events.
type Conn struct {
	actor    *Actor
	identity // changed only by the test's goroutine
	id       string
	producer string
	params   json.RawMessage

	woken chan struct{} // something new was read

	mu         sync.Mutex // guards the fields below, which the publishing goroutine also reads
	attachment host.Attachment
	online     bool
	log        *host.Log
	logID      string
	cursor     host.Pos
	seq        uint64 // number of the last entry seen
	num        uint32
	calls      uint64

	opened  *host.OpenedInfo
	gap     string // the reason of a gap before opened; empty if there is none
	closed  *host.Fault
	events  []*host.Output
	answers map[uint64]*host.Output

	answered []*host.Output // to Subscribe
}

// Published implements host.Follower.
func (c *Conn) Published() {
	c.read()
	c.wake()
}

// wake wakes what waits for an answer.
func (c *Conn) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

func (c *Conn) tb() testing.TB { return c.actor.node.T }

// attach opens the connection, for the first time or again.
func (c *Conn) attach() error {
	c.tb().Helper()
	if err := c.ask(); err != nil {
		return err
	}
	for {
		c.read()
		c.mu.Lock()
		opened, closed := c.opened, c.closed
		c.mu.Unlock()
		if opened != nil {
			return nil
		}
		if closed != nil {
			return closed
		}
		<-c.woken
	}
}

func (c *Conn) ask() error {
	who, err := c.actor.node.authenticate(c.actor.ref, c.identity, "", c.params)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.actor.node.node
	log, err := node.Follow(c.actor.ref, c)
	if err != nil {
		return err
	}
	resume := c.logID != ""
	c.log, c.cursor, c.attachment = log, log.Visible(), host.NextAttachment()
	c.opened, c.closed, c.online = nil, nil, true
	if err := node.Open(c.actor.ref, host.OpenRequest{
		Attachment: c.attachment, Create: true, Conn: c.id, Producer: c.producer, Params: c.params, Identity: who,
		Resume: resume, Log: c.logID, Seq: c.seq,
	}); err != nil {
		c.detachedLocked()
		return err
	}
	return nil
}

// detached forgets the log.
func (c *Conn) detached() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detachedLocked()
}

func (c *Conn) detachedLocked() {
	if !c.online {
		return
	}
	c.online = false
	c.actor.node.node.Unfollow(c.actor.ref, c)
}

// read takes what is new in the log.
func (c *Conn) read() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.online {
		outputs, next, ok := c.log.Read(c.cursor, nil, 64)
		if !ok {
			c.tb().Errorf("connection %s fell behind what the log keeps in memory", c.id)
			return
		}
		if next == c.cursor {
			return
		}
		c.cursor = next
		for _, o := range outputs {
			c.take(o)
		}
	}
}

func (c *Conn) take(o *host.Output) {
	if c.opened != nil && o.Numbered {
		if o.Seq <= c.seq {
			return // replayed before
		}
		c.seq = o.Seq
	}
	switch o.Kind {
	case host.OutputOpened:
		if o.To == c.attachment {
			c.start(o)
		}
	case host.OutputClosed:
		if o.To == c.attachment {
			c.closed = o.Err
			c.detachedLocked()
		}
	case host.OutputSubscribed:
		if o.To == c.attachment {
			c.answered = append(c.answered, o)
		}
	case host.OutputEvent:
		if c.opened != nil && o.Target.Includes(c.num) {
			c.events = append(c.events, o)
		}
	case host.OutputStub:
		if c.opened != nil && o.Target.Includes(c.num) {
			c.tb().Errorf("connection %s has not received what its OnConnect sent, and that is not in memory any more", c.id)
		}
	default:
		if o.To == c.attachment || o.Numbered && c.opened != nil && o.Target.Includes(c.num) {
			c.answers[o.Call] = o
		}
	}
}

// start handles the answer of an open and replays the entries after its start.
func (c *Conn) start(o *host.Output) {
	info := o.Opened
	c.opened, c.logID, c.num, c.seq, c.gap = info, info.Log, info.Num, info.Start, info.Reason
	replay := c.replay(info.Start)
	if o.Seq > info.Start && (len(replay) == 0 || replay[0].Seq != info.Start+1) {
		c.seq, c.gap = o.Seq, "overflow" // never a partial replay (G4)
		return
	}
	for _, o := range replay {
		c.take(o)
	}
}

// replay returns the entries of the log after a number.
func (c *Conn) replay(after uint64) []*host.Output {
	if pos, ok := c.log.After(after); ok {
		outputs, _, _ := c.log.Read(pos, nil, 1<<20)
		return slices.DeleteFunc(outputs, func(o *host.Output) bool { return !o.Numbered })
	}
	stored, err := c.log.Stored(context.Background(), after, 1<<20, 1<<30)
	if err != nil {
		c.tb().Errorf("read the replay of connection %s: %v", c.id, err)
	}
	return stored
}

func (c *Conn) call(action string, args []any) (json.RawMessage, error) {
	c.tb().Helper()
	c.mu.Lock()
	attachment, online := c.attachment, c.online
	c.calls++
	id := c.calls
	c.mu.Unlock()
	if !online {
		return nil, errors.New("the connection has no socket")
	}
	if err := c.actor.node.node.Call(c.actor.ref, host.CallRequest{
		Attachment: attachment, Conn: c.id, ID: id, Action: action, Args: encodeAll(c.tb(), args),
	}); err != nil {
		return nil, err
	}
	for {
		c.read()
		c.mu.Lock()
		a, closed, crashed := c.answers[id], c.closed, !c.online || c.attachment != attachment
		delete(c.answers, id)
		c.mu.Unlock()
		switch {
		case a != nil && a.Err != nil:
			return nil, a.Err
		case a != nil:
			return a.Data, nil
		case closed != nil:
			return nil, closed
		case crashed:
			return nil, &actor.Error{Code: "maybe_ran", Message: "the connection lost its socket before the answer"} // as a client that gives up
		}
		<-c.woken
	}
}

// Fail calls an action and returns its error. The test fails if the action succeeds.
func (c *Conn) Fail(action string, args ...any) *actor.Error {
	c.tb().Helper()
	return mustFail(c.tb(), action, func() error { _, err := c.call(action, args); return err })
}

// Drop takes the connection's socket away. Resume gives it a new one.
func (c *Conn) Drop() {
	c.settle()
	c.detached()
	c.actor.node.node.Detach(c.actor.ref, c.attachment)
	synctest.Wait()
}

// Resume gives the connection a socket again. Its events then include those that it missed;
// see Recovered. It reports whether it is still the same connection: if not, its resume
// window was over, and it has joined as a new one. The test fails if the actor refuses.
func (c *Conn) Resume() (same bool) {
	c.tb().Helper()
	if err := c.TryResume(); err != nil {
		c.tb().Fatalf("resume: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened.Resumed
}

// TryResume is Resume for connections that may be refused. The error is an
// *actor.Error.
func (c *Conn) TryResume() error {
	c.tb().Helper()
	c.detached()
	return authorError(c.attach())
}

// As sets the OnAuth result for the next resume or refresh. It returns c.
func (c *Conn) As(auth any) *Conn {
	c.who = identityOf(c.tb(), auth)
	return c
}

// Refresh passes new params, as the client's refresh() does: OnAuth (see As),
// OnBeforeConnect and OnRefresh run. If one of them refuses, the connection is Closed.
func (c *Conn) Refresh(params any) {
	c.tb().Helper()
	c.settle()
	c.params = encode(c.tb(), params)
	node := c.actor.node
	who, err := node.authenticate(c.actor.ref, c.identity, "", c.params)
	var refused *host.Fault
	switch {
	case errors.As(err, &refused):
		c.mu.Lock()
		c.closed = refused
		c.mu.Unlock()
		c.detached()
		node.node.Detach(c.actor.ref, c.attachment)
	case err == nil:
		err = node.node.Refresh(c.actor.ref, host.RefreshRequest{Attachment: c.attachment, Params: c.params, Identity: who})
	}
	if err != nil && refused == nil {
		c.tb().Fatalf("refresh: %v", err)
	}
	c.settle()
}

// Subscribe runs the actor's CanSubscribe for an event, as the client's on() does, and
// returns its error. The connection receives all events in any case.
func (c *Conn) Subscribe(event string) error {
	c.tb().Helper()
	c.settle()
	node := c.actor.node.node
	if !node.Guards(c.actor.ref.Name) {
		c.tb().Fatalf("%s has no CanSubscribe", c.actor.ref.Name)
	}
	c.mu.Lock()
	c.answered = nil
	c.mu.Unlock()
	if err := node.Subscribe(c.actor.ref, host.SubscribeRequest{Attachment: c.attachment, ID: 1, Events: []string{event}}); err != nil {
		return err
	}
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answered) == 0 {
		c.tb().Fatalf("the connection is over")
	}
	for _, r := range c.answered[0].Opened.Refused {
		return authorError(r.Err)
	}
	return nil
}

// Recovered reports whether the connection had no gap when it was last resumed or connected.
// If it had one, reason is that of the client's event reconnected: expired (its resume
// window was over), restart (the log is a new one) or overflow (the log no longer had all
// entries).
func (c *Conn) Recovered() (ok bool, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gap == "", c.gap
}

// Close ends the connection, as its client's dispose() does.
func (c *Conn) Close() {
	c.settle()
	c.actor.node.node.Close(c.actor.ref, c.attachment)
	c.detached()
	synctest.Wait()
}

// Closed returns the code with which the actor has ended the connection.
func (c *Conn) Closed() (code string, closed bool) {
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == nil {
		return "", false
	}
	return c.closed.Code, true
}

// Clear forgets the events received so far.
func (c *Conn) Clear() {
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = nil
}

// settle waits until the actor is idle, and reads.
func (c *Conn) settle() {
	synctest.Wait()
	c.read()
}
