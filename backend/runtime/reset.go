package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// reset is the one answer to a commit that failed, a turn that does not return
// and a goroutine that was ended: the instance is discarded with everything that
// is not durable, and the actor goes on from what is.
func (a *Actor) reset(cause error) {
	if err := a.gate.await(); err != nil {
		cause = err
	}
	a.node.stats.resets.Add(1)
	a.logger().Error("an actor is reset to its last durable state", "cause", cause)
	lost := host.Faultf(wire.CodeUnavailable, "the actor could not save its state; this had no effect")
	durable, known := a.durable(cause)
	if !known {
		lost = errShutdown
	}
	dropped := a.gate.reset(durable)
	if a.in != nil {
		a.in.discard()
		a.previous, a.in = a.in, nil
	}
	var answers []*host.Output
	for _, o := range dropped {
		if o.Kind == host.OutputOpened || o.Kind == host.OutputSubscribed {
			a.gone(o.To, time.Now()) // its client is told that it is closed
		}
		if answer := answerDropped(o, a.previous, lost); answer != nil {
			answers = append(answers, answer)
		}
	}
	a.put(answers...)
	a.loadErr = nil
}

// durable returns the revision that the store has, if a commit ended in such a
// way that nobody else knows. It asks until the store answers: saying that a call
// had no effect when it had one would be worse than saying nothing yet. known is
// false if it has not answered when the node closes.
func (a *Actor) durable(cause error) (rev uint64, known bool) {
	if !errors.Is(cause, store.ErrUnknown) {
		return 0, true // then nothing that failed is durable
	}
	for {
		snap, err := a.node.store.Load(context.Background(), a.id)
		if err == nil {
			return snap.Rev, true
		}
		if errors.Is(err, store.ErrNotFound) {
			return 0, true
		}
		select {
		case <-a.node.closing:
			return 0, false
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// answerDropped returns what is to be said in place of an output that was dropped, nil
// if nothing.
func answerDropped(o *host.Output, in *instance, err *host.Fault) *host.Output {
	switch {
	case o.Done != nil:
		o.Done(nil, err)
	case o.Kind == host.OutputOpened || o.Kind == host.OutputSubscribed:
		return &host.Output{Kind: host.OutputClosed, To: o.To, Err: err}
	case o.Kind == host.OutputClosed && o.Err.Code == wire.CodeReplaced:
		return &host.Output{Kind: host.OutputClosed, To: o.To, Err: o.Err} // it still is
	case o.Kind == host.OutputClosed:
		return &host.Output{Kind: host.OutputClosed, To: o.To, Err: err}
	case (o.Kind == host.OutputReply || o.Kind == host.OutputFail) && err == errShutdown:
		return nil // its client sends the call again, to whoever comes next
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

// gone notes for the next instance that an attachment has ended while there was
// none to tell.
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
	a.logger().Error("a turn does not return and is abandoned", "turn", t.label())
	a.node.wait.Go(func() {
		a.takeOver(t, t.timeoutFault(t.label()))
	})
}

// takeOver runs the actor in place of a goroutine that was lost in a turn, or
// between turns (t is nil).
func (a *Actor) takeOver(t *Turn, cause *host.Fault) {
	if t != nil && t.ending != nil {
		t.ending.over = true // its hook has had its chance
	}
	stuck := a.current
	a.current = nil
	a.reset(cause)
	if stuck != nil {
		stuck.refuse(a, cause)
	}
	if a.node.isClosed() {
		a.stop()
		return
	}
	a.rest()                                // the goroutine may have been lost while it left memory
	if t == nil || t.label() != "OnStart" { // that would fail again: not before somebody asks
		a.box.post(wakeEnvelope{})
	}
	a.run()
}
