package runtime

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// reset handles a failed commit, a turn that does not return and a goroutine that
// ended: it discards the instance with everything that is not durable. The actor
// continues from its last durable state.
func (a *Actor) reset(cause error) {
	if err := a.gate.await(); err != nil {
		cause = err
	}
	a.node.stats.resets.Add(1)
	a.hold.extend()
	level := slog.LevelError
	if errors.Is(cause, errOperatorReset) {
		level = slog.LevelWarn
	}
	a.logger().Log(context.Background(), level, "actor reset to its last durable state", "cause", cause)
	dropFault := host.Faultf(wire.CodeUnavailable, "the actor could not save its state; the call had no effect")
	durable, known := a.durable(cause)
	if !known {
		dropFault = errShutdown
		if !a.node.isClosed() {
			dropFault = errUnclear
		}
	}
	dropped := a.gate.reset(durable)
	if a.in != nil {
		a.in.discard()
		a.previous, a.in = a.in, nil
	}
	// Clients get an OutputClosed in place of these. Those that have not heard that they are
	// connected get nothing else: they open again and then send their calls again, which may have
	// had an effect at another owner meanwhile.
	again := map[host.Attachment]bool{}
	for _, o := range dropped {
		if o.Kind == host.OutputOpened || o.Kind == host.OutputSubscribed {
			a.gone(o.To, time.Now())
		}
		if o.Kind == host.OutputOpened {
			again[o.To] = true
		}
	}
	var answers []*host.Output
	for _, o := range dropped {
		answer := answerDropped(o, a.previous, dropFault)
		if answer != nil && (answer.Kind != host.OutputFail || !again[answer.To]) {
			answers = append(answers, answer)
		}
	}
	a.put(answers...)
	a.loadErr = nil
}

// durable returns the revision that the store has. It matters only if the outcome of a
// commit is unknown; then durable queries the store until it answers, because reporting
// that a call had no effect when it had one would be worse than a late answer. known is
// false if the store has not answered when the node shuts down, or another node has taken
// over.
func (a *Actor) durable(cause error) (rev uint64, known bool) {
	if !errors.Is(cause, store.ErrUnknown) {
		return 0, true // nothing that failed is durable
	}
	var asked time.Duration
	for {
		snap, err := a.node.store.Load(context.Background(), a.id)
		if err == nil {
			return snap.Rev, true
		}
		if errors.Is(err, store.ErrNotFound) {
			return 0, true
		}
		if errors.Is(err, store.ErrConflict) {
			return 0, false
		}
		select {
		case <-a.node.closing:
			return 0, false
		case <-time.After(loadInterval):
		}
		// Connections wait with their calls. Others should not: what has not run cannot
		// run before the store answers.
		if asked += loadInterval; asked >= storeWait {
			for _, m := range a.box.takeDirect() {
				m.refuse(a, host.Faultf(wire.CodeUnavailable, "the actor's store does not answer; the call had no effect"))
			}
		}
	}
}

// answerDropped returns the output to send in place of one that was dropped, nil if
// there is none.
func answerDropped(o *host.Output, in *instance, err *host.Fault) *host.Output {
	switch {
	case o.Done != nil:
		o.Done(nil, err)
	case (o.Kind == host.OutputOpened || o.Kind == host.OutputSubscribed) && err == errUnclear:
		return &host.Output{Kind: host.OutputClosed, To: o.To, Err: errMoved}
	case o.Kind == host.OutputOpened || o.Kind == host.OutputSubscribed:
		return &host.Output{Kind: host.OutputClosed, To: o.To, Err: err}
	case o.Kind == host.OutputClosed && o.Err.Code == wire.CodeReplaced:
		return &host.Output{Kind: host.OutputClosed, To: o.To, Err: o.Err} // still true
	case o.Kind == host.OutputClosed && err == errUnclear:
		return &host.Output{Kind: host.OutputClosed, To: o.To, Err: errMoved}
	case o.Kind == host.OutputClosed:
		return &host.Output{Kind: host.OutputClosed, To: o.To, Err: err}
	case (o.Kind == host.OutputReply || o.Kind == host.OutputFail) && (err == errShutdown || err == errUnclear):
		return nil // its client sends the call again, to the next server
	case o.Kind == host.OutputReply || o.Kind == host.OutputFail:
		to := o.To
		if o.Numbered && in != nil {
			if c := in.conns.byNum(o.Target.Conns[0]); c != nil {
				to = c.attachment
			}
		}
		return &host.Output{Kind: host.OutputFail, To: to, Call: o.Call, Err: err}
	}
	return nil
}

// gone notes for the next instance that an attachment ended while no instance was
// loaded.
func (a *Actor) gone(attachment host.Attachment, dropped time.Time) {
	if a.previous == nil {
		return
	}
	if c := a.previous.conns.attached[attachment]; c != nil && c.online {
		c.online, c.dropped = false, dropped
	}
}

// abandon takes the actor over from a goroutine whose turn does not return.
func (a *Actor) abandon(t *Turn) {
	if !a.supersede(t.in.generation) {
		return
	}
	t.dead.Store(true)
	a.node.stats.abandoned.Add(1)
	a.logger().Error("turn does not return and is abandoned", "turn", t.label())
	cause := t.timeoutFault(t.label())
	if r := a.recent.Load(); r != nil {
		r.add(TurnRecord{At: t.now, What: t.label(), Took: time.Since(t.now), Err: cause})
	}
	a.node.wait.Go(func() { a.takeOver(t, cause) })
}

// takeOver runs the actor in place of a goroutine that was superseded in a turn, or
// between turns (t is nil).
func (a *Actor) takeOver(t *Turn, cause *host.Fault) {
	if t != nil && t.ending != nil {
		t.ending.over = true // its hook does not run again
	}
	if t != nil && t.message != nil && t.from == nil {
		a.stuck = t.message.ID
	}
	stuck := a.current
	a.current = nil
	a.reset(cause)
	if m, stops := stuck.(stopEnvelope); stops {
		a.stop(m)
		return
	}
	if stuck != nil {
		stuck.refuse(a, cause)
	}
	if a.node.isClosed() {
		a.stop(stopEnvelope{why: errShutdown})
		return
	}
	a.rest()                                // the goroutine may have been evicting the actor
	if t == nil || t.label() != "OnStart" { // OnStart would fail again: wait for the next request
		a.box.post(wakeEnvelope{})
	}
	a.run()
}
