package runtime

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Actor is one actor on a node: its address, mailbox, log and gate. Its state is in an
// instance, which can be discarded and loaded again. One goroutine runs the actor while
// it has envelopes to handle or a connection to keep.
type Actor struct {
	node *Node
	id   string
	log  *host.LogWriter
	gate *gate
	box  *mailbox

	address atomic.Pointer[host.Ref] // without name and key while only the id is known

	// generation counts the goroutines that have run the actor. A goroutine whose turn
	// does not return, or ends it, is superseded once and then touches nothing here.
	generation atomic.Uint64

	// Owned by the goroutine of this generation.
	in       *instance // nil before the first use, after a reset, or if it cannot be loaded
	lastUsed time.Time // not by messages that were due
	bytes    int64     // as counted in node.memory
	idle     *time.Timer
	previous *instance   // a new instance takes its attachments
	loadErr  *host.Fault // the last attempt to load failed, at loadTime
	loadTime time.Time
	current  envelope // being handled
	hold     hold     // of messages, after resets
	stuck    uint64   // the message whose turn did not return, until that is counted

	part  int       // its partition
	since time.Time // when its node got that

	loaded atomic.Bool              // it has an instance, which wakes itself when it is due
	recent atomic.Pointer[turnRing] // keeps the newest turns while somebody looks; else nil

	sending   atomic.Bool // a sendEnvelope is in the mailbox
	wakeSends func()      // see sendWaker

	invalidUTF8 sync.Once // its log line
}

// newActor needs n.mu.
func newActor(n *Node, r host.Ref, since time.Time) *Actor {
	a := &Actor{node: n, id: r.ID, part: store.Partition(r.ID), since: since}
	a.address.Store(&host.Ref{ID: r.ID, Name: r.Name, Key: r.Key})
	a.log = host.NewLog(a.id, definition.Defaults.LogBytes, a.storedEntries)
	a.log.ReadReplies(a.storedReplies)
	a.box = newMailbox(func() { n.wait.Go(a.run) }, &n.queued)
	a.recent.Store(n.watched[a.id])
	a.wakeSends = sendWaker(a)
	a.gate = newGate(a.log, n.committer, func() { a.box.post(wakeEnvelope{}) }, a.wakeSends)
	return a
}

// ref returns the actor's address.
func (a *Actor) ref() host.Ref { return *a.address.Load() }

// learn notes the actor's name and key, if only its id was known.
func (a *Actor) learn(r host.Ref) {
	if known := a.address.Load(); known.Name == "" && r.Name != "" {
		a.address.CompareAndSwap(known, &host.Ref{ID: a.id, Name: r.Name, Key: r.Key})
	}
}

// logger returns a logger that names the actor.
func (a *Actor) logger() *slog.Logger {
	ref := a.ref()
	return a.node.log.With("actor", ref.Name, "key", ref.Key.String(), "id", ref.ID)
}

// run is the actor's goroutine.
func (a *Actor) run() {
	generation := a.generation.Load()
	orderly := false
	defer func() {
		why := recover()
		if orderly || !a.supersede(generation) {
			return
		}
		// A panic of the runtime itself, or runtime.Goexit in user code. The actor
		// continues from its last commit, and the process keeps running.
		a.logger().Error("actor goroutine ended unexpectedly", "panic", why, "stack", string(debug.Stack()))
		a.node.wait.Go(func() { a.takeOver(a.running(), host.Faultf(wire.CodeInternal, "the action ended its goroutine")) })
	}()
	for {
		m := a.box.next(glanceOf(a))
		if look, ok := m.(*lookEnvelope); ok {
			look.answer(a)
			continue
		}
		a.current = m
		if err := a.gate.room(); err != nil {
			a.reset(err)
		}
		if a.node.killed.Load() {
			m.refuse(a, errShutdown)
			a.close(errShutdown)
			orderly = true
			return
		}
		switch m := m.(type) {
		case stopEnvelope:
			a.stop(m)
			orderly = true
			return
		case idleEnvelope:
			if ended, ok := a.leave(m.early); ended || !ok {
				orderly = true
				return
			}
		default:
			if !a.node.partitions.has(a) {
				m.refuse(a, errMoved)
			} else if !a.deliver(m) {
				return // superseded: another goroutine runs the actor
			}
			a.loaded.Store(a.in != nil)
		}
	}
}

// running returns the turn that is under way, nil if there is none.
func (a *Actor) running() *Turn {
	if a.in == nil {
		return nil
	}
	return a.in.watchdog.running()
}

// supersede ends a generation. It reports false if another caller already did.
func (a *Actor) supersede(generation uint64) bool {
	return a.generation.CompareAndSwap(generation, generation+1)
}

// deliver hands an envelope to the instance, or refuses it if there is none. It
// reports false if the goroutine was superseded meanwhile.
func (a *Actor) deliver(m envelope) (ok bool) {
	if a.in != nil && a.in.created && !a.in.stored && createsWithInput(m) {
		a.in.discard() // it was only read so far
		a.in = nil
	}
	if a.in != nil && a.in.stopped && !servesStopped(m) {
		a.unload()
	}
	buried := false
	for again := true; again; {
		if !a.prepare() {
			return false
		}
		if a.in == nil {
			m.refuse(a, a.loadErr)
			a.rest()
			a.evictMissing(a.loadErr.Code == wire.CodeNotFound)
			return true
		}
		if !m.deliver(a.in) {
			return false
		}
		if a.in == nil { // an operator has reset it
			break
		}
		if buried, again = a.in.life.over, a.in.life.again; buried {
			a.bury()
		}
	}
	a.discardBroken()
	a.weigh()
	a.evictMissing(buried || a.in != nil && !a.in.created)
	return true
}

// prepare loads the instance, ends connections that are over and runs messages that are due. It reports false if the
// goroutine was superseded meanwhile.
func (a *Actor) prepare() (ok bool) {
	for {
		if a.in == nil && !a.load() {
			return false
		}
		if a.in != nil && !a.in.conns.nextExpiry.IsZero() && !a.in.expire(time.Now()) {
			return false
		}
		if a.in != nil && !a.in.life.over && !a.in.stopped && !a.in.messages.runDue() {
			return false
		}
		if a.in != nil && !a.in.life.over && !a.in.stopped && !a.in.life.settle() {
			return false
		}
		if a.in == nil || !a.in.life.over {
			a.discardBroken()
			return true
		}
		if !a.bury() { // a hook or a message has destroyed it, and would do so again
			a.loadErr, a.loadTime = host.Faultf(wire.CodeUnavailable, "the actor cannot save its end"), time.Now()
		}
	}
}

// evictMissing evicts an actor that does not exist, so that probing for random keys
// cannot fill memory.
func (a *Actor) evictMissing(missing bool) {
	if missing {
		a.box.post(idleEnvelope{})
	}
}

// createsWithInput reports whether an envelope creates the actor with its own input.
func createsWithInput(m envelope) bool {
	switch m := m.(type) {
	case *createEnvelope:
		return m.create
	case *openEnvelope:
		return m.Create && len(m.Input) > 0
	}
	return false
}

// discardBroken discards an instance that cannot be used.
func (a *Actor) discardBroken() {
	if a.in == nil || a.in.state.broken == nil {
		return
	}
	why := a.in.state.broken
	a.unload()
	a.loadErr, a.loadTime = why, time.Now()
}

// unload drops the instance, for another one to be loaded.
func (a *Actor) unload() {
	if err := a.gate.await(); err != nil {
		a.reset(err)
		return
	}
	a.in.discard()
	a.previous, a.in = a.in, nil
}

// servesStopped reports whether an instance on which OnStop has run delivers an envelope: those
// that are about its messages to others, and run nothing but OnUndelivered.
func servesStopped(m envelope) bool {
	switch m.(type) {
	case *answerEnvelope, sendEnvelope, wakeEnvelope, *settledEnvelope, *inquiredEnvelope, *inquiryEnvelope:
		return true
	}
	return false
}

// loadInterval is how often a failing store is queried at most. One that has answered that there
// is no actor has not failed: the next request may have the name that it takes to begin a life.
const loadInterval = 100 * time.Millisecond

// load makes an instance from the store; if that fails, loadErr has the reason. It reports false if the goroutine
// was superseded meanwhile.
func (a *Actor) load() (ok bool) {
	if a.loadErr != nil && a.loadErr.Code != wire.CodeNotFound && time.Since(a.loadTime) < loadInterval {
		return true
	}
	in, err := a.tryLoad()
	a.loadErr, a.loadTime = err, time.Now()
	if err != nil {
		return true
	}
	if m, due := a.current.(*dueEnvelope); due {
		m.letLoadSoon()
	}
	if a.previous != nil {
		in.adopt(a.previous)
	}
	a.in = in
	a.log.Configure(in.def.Options.LogBytes, in.def.Options.Retention().Milliseconds())
	a.gate.maxCommits, a.gate.maxBytes = in.def.Options.MaxRunAhead, in.def.Options.MaxRunAheadBytes
	a.log.Start(in.log, in.head)
	if _, due := a.current.(*dueEnvelope); !due {
		a.used()
	}
	if !in.life.settle() {
		return false
	}
	if in.created && !in.life.over && !in.start() {
		return false
	}
	if in.state.broken == nil && !in.life.over && !in.endUndecodable() {
		return false
	}
	a.previous = nil
	in.conns.started()
	if in.state.broken == nil && !in.life.over {
		in.sends.send()
	}
	a.discardBroken()
	return true
}

func (a *Actor) tryLoad() (*instance, *host.Fault) {
	snap, err := a.node.store.Load(context.Background(), a.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		a.logger().Error("load actor failed", "error", err)
		return nil, host.Faultf(wire.CodeUnavailable, "the actor cannot be loaded")
	}
	ref := a.ref()
	if snap != nil && (!snap.Tombstone || ref.Name == "") {
		ref.Name, ref.Key = snap.Name, snap.Key
	}
	def := a.node.defs[ref.Name]
	if def == nil {
		if ref.Name == "" || snap != nil && a.forgetUndefined(snap) {
			return nil, host.Faultf(wire.CodeNotFound, "there is no actor with this id")
		}
		return nil, host.Faultf(wire.CodeUnknownActor, "there is no actor named %q", ref.Name)
	}
	if snap == nil || !snap.Tombstone || len(snap.Messages) > 0 { // else it does not have its key
		a.learn(ref)
	}
	in, err := newInstance(a, def, snap)
	if err != nil {
		var e *host.Fault
		if errors.As(err, &e) {
			return nil, e // newInstance has logged why
		}
		a.logger().Error("start actor failed", "error", err)
		return nil, host.Faultf(wire.CodeInternal, "the actor cannot be started")
	}
	return in, nil
}

// put publishes outputs that belong to no turn.
func (a *Actor) put(outputs ...*host.Output) {
	if len(outputs) == 0 {
		return
	}
	head, ms := a.log.Log().Head(), time.Now().UnixMilli()
	blind := true
	for _, o := range outputs {
		o.Seq, o.TimeMs = head, ms
		blind = blind && o.Err != nil && isBlind(o.Err)
	}
	if blind {
		a.gate.tell(outputs)
		return
	}
	a.gate.put(outputs, nil)
}

// isBlind reports whether an error says nothing about the state of an actor, as those that a
// reset answers with. A process that no longer owns the actor may answer with it, too.
func isBlind(err *host.Fault) bool {
	switch err.Code {
	case wire.CodeUnavailable, wire.CodeOverloaded, wire.CodeShutdown, wire.CodeReplaced, wire.CodeMoved:
		return true
	}
	return false
}

// used notes that the actor is in use.
func (a *Actor) used() {
	a.lastUsed = time.Now()
	if a.idle == nil {
		a.rest()
	}
}

// rest arms the timer after which the actor may leave memory.
func (a *Actor) rest() {
	after := definition.Defaults.IdleAfter
	if def := a.node.defs[a.ref().Name]; def != nil {
		after = def.Options.IdleAfter
	}
	if a.idle == nil {
		a.idle = time.AfterFunc(after, func() { a.box.post(idleEnvelope{}) })
		return
	}
	a.idle.Reset(after)
}

// leave evicts an idle actor from memory unless it is still needed. early is as in
// idleEnvelope: an actor with timers does not leave early, and of one that stays the log
// leaves. ok is false if the
// goroutine was superseded meanwhile.
func (a *Actor) leave(early bool) (ended, ok bool) {
	awaited := a.previous != nil && len(a.previous.conns.all) > 0
	if a.in == nil && awaited {
		if !a.load() {
			return false, false // superseded while loading it for its connections
		}
		a.weigh()
	}
	if in := a.in; in != nil {
		idle := !in.created || time.Since(a.lastUsed) >= in.def.Options.IdleAfter || early && len(in.timers.all) == 0
		if len(in.conns.all) > 0 || a.log.Followed() || in.sends.busy() || in.life.asks() || !idle || !early && in.messages.soon() {
			if early && time.Since(a.lastUsed) >= reliefInterval {
				a.empty()
			}
			a.rest()
			return false, true
		}
		in.timers.stop()
		if !in.stopHook() {
			return false, false
		}
		if in.stopped && in.sends.busy() { // left now, it would be woken for that, start, and stop again
			a.rest()
			return false, true
		}
		if !in.life.renew() || !in.sends.leave() {
			return false, false
		}
	}
	if a.gate.await() != nil || a.in == nil && awaited {
		a.rest() // the wake-up for the failure is in the mailbox, or the store fails
		return false, true
	}
	var due time.Time
	if a.in != nil {
		due = a.in.messages.savedDue
		a.in.discard()
		a.in = nil
	}
	a.loaded.Store(false)
	removed := a.node.remove(a)
	a.node.waker.add(a.id, due)
	if !removed { // it has followers, or requests: they need its log
		a.weigh()
		a.rest()
		return false, true
	}
	a.node.memory.used.Add(-a.bytes)
	a.bytes = 0
	if a.idle != nil {
		a.idle.Stop()
	}
	return true, true
}

// stop ends the actor because its node shuts down, or no longer owns it.
func (a *Actor) stop(m stopEnvelope) {
	if a.in != nil && !m.lost {
		if !a.in.stopHook() {
			return // superseded: the goroutine that takes over stops it
		}
		if a.in.messages.acquit(); !a.in.sends.settle() || !a.in.life.renew() {
			return
		}
	}
	if err := a.gate.await(); err != nil {
		a.logger().Error("saving an actor's last changes failed", "error", err)
		a.reset(err) // answers the calls that wait
	}
	a.close(m.why)
	if m.done != nil {
		m.done()
	}
}

// close drops the instance and refuses what is in the mailbox, and what comes.
func (a *Actor) close(why *host.Fault) {
	if why == errMoved {
		a.put(moveAttachments(cmp.Or(a.in, a.previous))...)
	}
	if a.in != nil {
		a.in.discard()
		a.in = nil
	}
	if a.idle != nil {
		a.idle.Stop()
	}
	for _, m := range a.box.end() {
		m.refuse(a, why)
	}
	a.node.memory.used.Add(-a.bytes)
	a.bytes = 0
}
