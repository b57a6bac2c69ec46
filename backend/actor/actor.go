package actor

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// actor is the presence of one actor on a node: its address, mailbox, log and
// gate. Its state is in an instance, which comes and goes. While there is mail to
// handle or a connection to keep, one goroutine runs it.
type actor struct {
	node *Node
	id   string
	log  *Log
	gate *gate
	box  *mailbox

	addressMu sync.Mutex // guards the address of an actor that is known by its id only
	name      string
	key       Key

	// Of the goroutine that runs the actor; an abandoned one touches none of it.
	lastUsed time.Time
	idle     *time.Timer
	previous *instance // what a new instance takes attachments from
	loadErr  *Error    // the last attempt to load failed, at loadTime
	loadTime time.Time
	current  mail // being delivered
}

func newActor(n *Node, r Ref) *actor {
	a := &actor{node: n, id: r.ID, name: r.Name, key: r.Key}
	a.log = NewLog(a.id, defaultOptions.LogBytes, func(ctx context.Context, after uint64, limit, maxBytes int) ([]store.Entry, error) {
		return n.store.Entries(ctx, a.id, after, limit, maxBytes)
	})
	a.box = newMailbox(func() { n.wait.Go(func() { a.run(nil) }) })
	a.gate = newGate(a.log, n.committer, func() { a.box.post(wakeMail{}) })
	return a
}

// ref returns how to find the actor again.
func (a *actor) ref() Ref {
	a.addressMu.Lock()
	defer a.addressMu.Unlock()
	return Ref{ID: a.id, Name: a.name, Key: a.key}
}

// run is the actor's goroutine. in is the instance to go on with; nil loads one.
func (a *actor) run(in *instance) {
	orderly := false
	defer func() {
		if orderly || in != nil && in.discarded.Load() {
			return
		}
		// A panic of the runtime itself, or runtime.Goexit in user code. The actor
		// goes on from its last commit; the process goes on in any case.
		a.node.log.Error("an actor's goroutine ended unexpectedly", "actor", a.name, "key", a.key.String(), "panic", recover(), "stack", string(debug.Stack()))
		a.node.wait.Go(func() { a.takeOver(in, newError(codeInternal, "the action ended its goroutine"), true) })
	}()
	for {
		m := a.box.next()
		if err := a.gate.room(); err != nil {
			a.reset(in, err)
			in = nil
		}
		if in == nil {
			var ok bool
			if in, ok = a.load(); !ok {
				orderly = true
				return
			}
		}
		switch m := m.(type) {
		case stopMail:
			orderly = true
			a.stop(in)
			return
		case idleMail:
			if in, orderly = a.leave(in); orderly {
				return
			}
		default:
			if !a.deliver(in, m) {
				orderly = true
				return // abandoned: another goroutine runs the actor
			}
		}
	}
}

// deliver hands a mail to the instance, or refuses it.
func (a *actor) deliver(in *instance, m mail) bool {
	if in == nil {
		m.refuse(a, a.loadErr)
		a.rest()
		return true
	}
	a.current = m
	if !in.expire(time.Now()) {
		return false
	}
	if in.broken != nil {
		m.refuse(a, in.broken)
		a.rest()
		return true
	}
	return m.deliver(in)
}

// load makes an instance from the store, or returns nil and leaves the reason in
// loadErr. A store that fails is not asked more often than ten times a second.
// ok is false if the instance was abandoned while it started.
func (a *actor) load() (in *instance, ok bool) {
	if a.loadErr != nil && time.Since(a.loadTime) < 100*time.Millisecond {
		return nil, true
	}
	in, err := a.tryLoad()
	a.loadErr, a.loadTime = err, time.Now()
	if err != nil {
		return nil, true
	}
	if a.previous != nil {
		in.adopt(a.previous)
		a.previous = nil
	}
	a.log.configure(in.def.options.LogBytes, (in.def.options.ResumeWindow + retentionExtra).Milliseconds())
	a.gate.maxCommits, a.gate.maxBytes = in.def.options.MaxRunAhead, in.def.options.MaxRunAheadBytes
	a.log.Start(in.log, in.head)
	a.used()
	if in.created && !in.start() {
		return nil, false
	}
	in.armExpiry()
	return in, true
}

func (a *actor) tryLoad() (*instance, *Error) {
	snap, err := a.node.store.Load(context.Background(), a.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		a.node.log.Error("an actor cannot be loaded", "actor", a.id, "error", err)
		return nil, newError(codeUnavailable, "the actor cannot be loaded")
	}
	ref := a.ref()
	if snap != nil {
		ref.Name, ref.Key = snap.Name, snap.Key
	}
	def := a.node.registry.defs[ref.Name]
	if def == nil {
		if ref.Name == "" {
			return nil, newError(codeNotFound, "there is no actor with this id")
		}
		return nil, newError(codeUnknownActor, "there is no actor named %q", ref.Name)
	}
	if a.name == "" { // known by its id until now
		a.addressMu.Lock()
		a.name, a.key = ref.Name, ref.Key
		a.addressMu.Unlock()
	}
	in, err := newInstance(a, def, snap)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = newError(codeInternal, "the actor cannot be started")
		}
		a.node.log.Error("an actor cannot be started", "actor", ref.Name, "key", ref.Key.String(), "error", err)
		return nil, e
	}
	return in, nil
}

// start runs OnStart. It reports false if the instance was abandoned.
func (in *instance) start() bool {
	if in.def.hooks["OnStart"] == nil {
		return true
	}
	t := in.begin("OnStart", in.def.options.ActionTimeout, nil)
	o, ok := t.execute(func() (any, error) { return nil, t.hook("OnStart") })
	if !ok {
		return false
	}
	if o.err != nil {
		in.broken = o.err
		return true
	}
	in.applyUnseen(t, o)
	return true
}

// applyUnseen applies a turn of an actor that may not be stored yet. What such
// an actor emits nobody can be meant to see, and its state goes into its first
// commit.
func (in *instance) applyUnseen(t *turn, o outcome) {
	if in.saved {
		in.apply(t, o, reply{})
		return
	}
	in.base = o.state
	in.startTimers(t)
}

// reset is the one answer to a commit that failed, a turn that does not return
// and a goroutine that was ended: the instance is discarded with everything that
// is not durable, and the actor goes on from what is.
func (a *actor) reset(in *instance, cause error) {
	if err := a.gate.drain(); err != nil {
		cause = err
	}
	a.node.log.Error("an actor is reset to its last durable state", "actor", a.name, "key", a.key.String(), "cause", cause)
	lost := newError(codeUnavailable, "the actor could not save its state; this had no effect")
	dropped := a.gate.reset(a.durable(cause))
	if in != nil {
		in.discard()
		a.previous = in
	}
	var answers []*Output
	for _, o := range dropped {
		if answer := o.lost(a.previous, lost); answer != nil {
			answers = append(answers, answer)
		}
	}
	a.put(answers...)
	a.loadErr = nil
}

// durable returns the revision that the store has, if a commit ended in such a
// way that nobody else knows. It asks until the store answers: saying that a call
// had no effect when it had one would be worse than saying nothing yet.
func (a *actor) durable(cause error) uint64 {
	if !errors.Is(cause, store.ErrUnknown) {
		return 0 // then nothing that failed is durable
	}
	for {
		snap, err := a.node.store.Load(context.Background(), a.id)
		if err == nil {
			return snap.Rev
		}
		if errors.Is(err, store.ErrNotFound) || a.node.isClosed() {
			return 0
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// lost returns what is to be said in place of an output that was dropped, nil
// if nothing.
func (o *Output) lost(in *instance, err *Error) *Output {
	switch {
	case o.done != nil:
		o.done(nil, err)
	case o.Kind == OutputOpened:
		return &Output{Kind: OutputClosed, To: o.To, Err: err}
	case o.Kind == OutputClosed && o.Err.Code == codeReplaced:
		return &Output{Kind: OutputClosed, To: o.To, Err: o.Err} // it still is
	case o.Kind == OutputClosed:
		return &Output{Kind: OutputClosed, To: o.To, Err: err}
	case o.Kind == OutputReply || o.Kind == OutputFail:
		to := o.To
		if o.Numbered && in != nil {
			if c := in.connByNum(o.Target.Conns[0]); c != nil {
				to = c.attachment
			}
		}
		return &Output{Kind: OutputFail, To: to, Call: o.Call, Err: err}
	}
	return nil
}

// adopt takes over what is not stored of the connections that are.
func (in *instance) adopt(from *instance) {
	for _, c := range in.conns {
		old := from.byID[c.id]
		if old == nil {
			c.dropped = time.Now() // its end was not durable
			continue
		}
		c.attachment, c.online, c.dropped, c.params, c.caller = old.attachment, old.online, old.dropped, old.params, old.caller
		in.attached[c.attachment] = c
	}
}

// put lets outputs out that belong to no turn.
func (a *actor) put(outputs ...*Output) {
	if len(outputs) == 0 {
		return
	}
	head, ms := a.log.Head(), time.Now().UnixMilli()
	for _, o := range outputs {
		o.Seq, o.TimeMs = head, ms
	}
	a.gate.put(outputs, nil)
}

// abandon takes the actor over from a goroutine whose turn does not return.
func (a *actor) abandon(in *instance, t *turn) {
	t.dead.Store(true)
	a.node.log.Error("a turn does not return and is abandoned", "actor", a.name, "key", a.key.String(), "turn", t.what)
	a.node.wait.Go(func() {
		a.takeOver(in, newError(codeTimeout, "%s took longer than %s", t.what, t.deadline.Sub(t.now)), t.what != "OnStart")
	})
}

// takeOver runs the actor in place of a goroutine that is lost. again says
// whether to load it at once, or to wait for somebody who asks.
func (a *actor) takeOver(in *instance, cause *Error, again bool) {
	stuck := a.current
	a.current = nil
	a.reset(in, cause)
	if stuck != nil {
		stuck.refuse(a, cause)
	}
	if again {
		a.box.post(wakeMail{})
	}
	a.run(nil)
}

// used notes that somebody needs the actor.
func (a *actor) used() {
	a.lastUsed = time.Now()
	if a.idle == nil {
		a.rest()
	}
}

// rest arms the timer after which the actor may leave memory.
func (a *actor) rest() {
	after := defaultOptions.IdleAfter
	if def := a.node.registry.defs[a.name]; def != nil {
		after = def.options.IdleAfter
	}
	if a.idle == nil {
		a.idle = time.AfterFunc(after, func() { a.box.post(idleMail{}) })
		return
	}
	a.idle.Reset(after)
}

// leave makes an idle actor leave memory. It returns the instance to go on
// with, nil to load one if it is needed again, and whether the goroutine ends.
func (a *actor) leave(in *instance) (next *instance, ended bool) {
	if in != nil {
		if len(in.conns) > 0 || a.log.followed() || time.Since(a.lastUsed) < in.def.options.IdleAfter {
			a.rest()
			return in, false
		}
		in.stopTimers()
		if !in.stopHook() {
			return nil, true
		}
	}
	if a.gate.drain() != nil {
		a.rest()
		return in, false // the mail of the failure is on its way
	}
	if in != nil {
		in.discard()
	}
	if !a.node.remove(a) {
		a.rest()
		return nil, false
	}
	a.idle.Stop()
	return nil, true
}

// stop ends the actor because the node closes.
func (a *actor) stop(in *instance) {
	if in != nil && in.broken == nil && !in.stopHook() {
		return
	}
	if err := a.gate.drain(); err != nil {
		a.node.log.Error("an actor's last changes could not be saved", "actor", a.name, "key", a.key.String(), "error", err)
	}
	if in != nil {
		in.discard()
	}
	if a.idle != nil {
		a.idle.Stop()
	}
	a.box.mu.Lock()
	rest := a.box.queue
	a.box.queue, a.box.closed, a.box.running = nil, true, false
	a.box.mu.Unlock()
	for _, m := range rest {
		m.refuse(a, errShutdown)
	}
}

// stopHook runs OnStop. It reports false if the instance was abandoned.
func (in *instance) stopHook() bool {
	if in.def.hooks["OnStop"] == nil || !in.created {
		return true
	}
	t := in.begin("OnStop", in.def.options.ActionTimeout, nil)
	o, ok := t.execute(func() (any, error) { return nil, t.hook("OnStop") })
	if !ok {
		return false
	}
	in.applyUnseen(t, o)
	return true
}
