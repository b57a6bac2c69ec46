package runtime

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// storeWait is how long a request whose turn has run waits for the store, and at most
// twice that. Without an end it would wait for as long as a disk fails.
const storeWait = 15 * time.Second

// waiter waits for the one answer to a request without a connection.
type waiter struct {
	answered chan directAnswer // has room for it
	ran      atomic.Bool       // its turn has run: the answer waits for the store
}

type directAnswer struct {
	data json.RawMessage
	err  *host.Fault
}

// done takes the answer: an output, or why there is none. Only the first one counts: a
// request that is refused after it was answered must not hold up its actor.
func (w *waiter) done(o *host.Output, err *host.Fault) {
	answer := directAnswer{err: err}
	if o != nil {
		answer = directAnswer{o.Data, o.Err}
	}
	select {
	case w.answered <- answer:
	default:
	}
}

// whenVisible returns what to call once the answer is durable; nil without a waiter.
func (w *waiter) whenVisible() func(*host.Output, *host.Fault) {
	if w == nil {
		return nil
	}
	w.ran.Store(true)
	return w.done
}

// refuse answers a request whose turn has not run.
func (w *waiter) refuse(a *Actor, err *host.Fault) {
	if isBlind(err) {
		w.done(nil, err) // also while the store does not answer
		return
	}
	a.put(&host.Output{Kind: host.OutputFail, Err: err, Done: w.done})
}

// roundTrip posts an envelope with a waiter, and waits for the answer. If the turn has run
// and the store does not say whether it has the commit, the error is maybe_ran.
func roundTrip(ctx context.Context, post func(*waiter) error) (json.RawMessage, error) {
	w := &waiter{answered: make(chan directAnswer, 1)}
	if err := post(w); err != nil {
		return nil, err
	}
	ticker := time.NewTicker(storeWait)
	defer ticker.Stop()
	for ran := false; ; {
		select {
		case a := <-w.answered:
			if a.err != nil {
				return nil, a.err
			}
			return a.data, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
			if ran {
				return nil, host.Faultf(wire.CodeMaybeRan, "the store does not answer: it is unknown whether the call had an effect")
			}
			ran = w.ran.Load()
		}
	}
}
