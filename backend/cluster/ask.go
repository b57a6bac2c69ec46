package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-dev/troupe/backend/cluster/link"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// For how long a request looks for its actor's owner, and how long it waits first when the owner
// does not have the actor yet.
const (
	moveFor  = 10 * time.Second // a node that has died has a successor before
	moveWait = 20 * time.Millisecond
)

// lostFor is for how long a delivery whose session has ended waits to hear whether the receiver's node
// has died: longer than others need to know that, also if it takes them an election.
const lostFor = time.Minute

// maxWait bounds how long another node tries, if the caller does not say.
const maxWait = 5 * time.Minute

// errSessionEnded says that the session with a node ended before its answer: the request may have been
// handled.
var errSessionEnded = errors.New("cluster: the session with another node ended before its answer")

// pending is a request that waits for an answer.
type pending struct {
	slot     uint32
	answered func(*item, error) // called once
	part     func([]byte)       // gets the parts of the answer in turn; nil: they are put together
	parts    []byte             // of the answer, guarded by Port.mu
}

// askAsync sends a request to a node, and calls answered once: with the answer, with errSessionEnded, or
// before it returns with why it was not sent.
func (p *Port) askAsync(slot uint32, i *item, answered func(*item, error)) (cancel func()) {
	i.Number = p.number.Add(1)
	p.mu.Lock()
	p.pending[i.Number] = &pending{slot: slot, answered: answered, part: i.part}
	p.mu.Unlock()
	cancel = func() {
		p.mu.Lock()
		delete(p.pending, i.Number)
		p.mu.Unlock()
	}
	if err := p.send(slot, i, false); err != nil {
		p.mu.Lock()
		_, there := p.pending[i.Number]
		delete(p.pending, i.Number)
		p.mu.Unlock()
		if there { // else it was told that the session has ended
			answered(nil, err)
		}
	}
	return cancel
}

// ask sends a request and waits for its answer.
func (p *Port) ask(ctx context.Context, slot uint32, i *item) (*item, error) {
	i.Wait = maxWait
	if until, ok := ctx.Deadline(); ok {
		i.Wait = min(i.Wait, time.Until(until))
	}
	type outcome struct {
		answer *item
		err    error
	}
	done := make(chan outcome, 1)
	cancel := p.askAsync(slot, i, func(answer *item, err error) { done <- outcome{answer, err} })
	select {
	case o := <-done:
		return o.answer, o.err
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
}

// answeredItem hands an answer to who waits for it.
func (p *Port) answeredItem(slot uint32, i *item) {
	p.mu.Lock()
	w := p.pending[i.Number]
	if w != nil && w.slot == slot {
		delete(p.pending, i.Number)
		if w.parts != nil {
			i.Data = w.parts
		}
	}
	p.mu.Unlock()
	if w != nil && w.slot == slot {
		w.answered(i, nil)
	}
}

// find runs a request at the actor's owner: here, or there as the item that remote makes. If the
// owner moves, it tries again at the next one. A request that is not safe to repeat is not
// repeated if it may have run. If a call that is repeated reaches no owner in time, its outcome is
// not known.
func find[T any](ctx context.Context, p *Port, r host.Ref, safe bool, local func() (T, error), remote *item, result func(*item) T) (none T, err error) {
	id, err := idOf(r)
	if err != nil {
		return none, err
	}
	part := store.Partition(id)
	looking, cancel := context.WithTimeout(ctx, moveFor)
	defer cancel()
	mayHaveRun := false
	for wait := moveWait; looking.Err() == nil; wait = min(2*wait, 16*moveWait) {
		owner, self := p.places.Owner(part)
		switch {
		case owner == self:
			value, err := local()
			if !isMoved(err) {
				return value, err
			}
		case owner != 0:
			i := *remote
			i.Ref = r
			answer, err := p.ask(ctx, owner, &i)
			switch {
			case err == nil && answer.Err == nil:
				return result(answer), nil
			case err == nil && !isMoved(answer.Err):
				return none, answer.Err
			case errors.Is(err, errSessionEnded) && !safe:
				return none, host.Faultf(wire.CodeMaybeRan, "the actor's node does not answer")
			case errors.Is(err, errSessionEnded):
				mayHaveRun = i.Kind == itemCallOnce // the others read
			case errors.Is(err, link.ErrFull) && !mayHaveRun:
				return none, faultOf(err)
			case err != nil && ctx.Err() != nil:
				return none, ctx.Err()
			}
		}
		// There is another owner soon, or this one is about to take the actor.
		short, cancel := context.WithTimeout(looking, wait)
		p.places.Await(short, part, owner)
		cancel()
	}
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	if mayHaveRun {
		return none, host.Faultf(wire.CodeMaybeRan, "the actor's node has not answered, and the actor is moving between nodes")
	}
	return none, host.Faultf(wire.CodeUnavailable, "the actor is moving between nodes")
}

func isMoved(err error) bool {
	var fault *host.Fault
	return errors.As(err, &fault) && fault != nil && fault.Code == wire.CodeMoved
}

// CallOnce implements host.Host. A call with an idempotency key may be sent again: the actor's
// records decide whether it runs.
func (p *Port) CallOnce(ctx context.Context, r host.Ref, q host.DirectCall) (json.RawMessage, error) {
	return find(ctx, p, r, q.IdempotencyKey != "", func() (json.RawMessage, error) { return p.local.CallOnce(ctx, r, q) },
		&item{Kind: itemCallOnce, Direct: &q}, func(i *item) json.RawMessage { return i.Data })
}

// Create implements host.Host.
func (p *Port) Create(ctx context.Context, r host.Ref, input json.RawMessage, who host.Identity) (string, error) {
	return find(ctx, p, r, false, func() (string, error) { return p.local.Create(ctx, r, input, who) },
		&item{Kind: itemCreate, Data: input, Identity: who}, func(i *item) string { return i.Ref.ID })
}

// Find implements host.Host.
func (p *Port) Find(ctx context.Context, r host.Ref, who host.Identity) (host.Ref, error) {
	return find(ctx, p, r, true, func() (host.Ref, error) { return p.local.Find(ctx, r, who) },
		&item{Kind: itemFind, Identity: who}, func(i *item) host.Ref { return i.Ref })
}

// Resolve implements host.Host.
func (p *Port) Resolve(ctx context.Context, r host.Ref) (host.Ref, error) {
	return find(ctx, p, r, true, func() (host.Ref, error) { return p.local.Resolve(ctx, r) },
		&item{Kind: itemResolve}, func(i *item) host.Ref { return i.Ref })
}

// Deliver implements host.Courier.
func (p *Port) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	carry(p, d.To, d.Suspect, &item{Kind: itemDeliver, Ref: d.To, Delivery: d}, func() { p.courier.Deliver(d, answered) },
		func(i *item, err error) {
			if err != nil {
				answered(nil, err)
				return
			}
			answered(i.Answers, nil)
		})
}

// Inquire implements host.Courier.
func (p *Port) Inquire(q host.Inquiry, answered func(uint64, error)) {
	carry(p, q.To, false, &item{Kind: itemInquire, Ref: q.To, Inquiry: &q}, func() { p.courier.Inquire(q, answered) },
		func(i *item, err error) {
			if err != nil {
				answered(0, err)
				return
			}
			answered(i.Seq, nil)
		})
}

// carry takes something to an actor, if probe only after the owner has answered. What fails the
// sender sends again.
func carry(p *Port, to host.Ref, probe bool, i *item, local func(), answered func(*item, error)) {
	id, err := idOf(to)
	if err != nil {
		answered(nil, err)
		return
	}
	owner, self := p.places.Owner(store.Partition(id))
	if owner == self {
		local()
		return
	}
	silent := host.Faultf(wire.CodeUnavailable, "the actor's node does not answer")
	take := func() {
		answered := p.sending(owner, i, answered)
		p.askAsync(owner, i, func(answer *item, err error) {
			switch {
			case errors.Is(err, link.ErrFull):
				answered(nil, faultOf(err))
			case errors.Is(err, errSessionEnded):
				p.lostWith(owner, i, func(died bool) {
					if died {
						answered(nil, host.ErrReceiverDied)
					} else {
						answered(nil, silent)
					}
				})
			case err != nil:
				answered(nil, silent)
			case answer.Err != nil:
				answered(nil, answer.Err)
			default:
				answered(answer, nil)
			}
		})
	}
	if !probe {
		take()
		return
	}
	p.askAsync(owner, &item{Kind: itemMoment}, func(_ *item, err error) {
		switch {
		case errors.Is(err, link.ErrFull):
			answered(nil, faultOf(err))
		case err != nil:
			answered(nil, silent)
		default:
			take()
		}
	})
}

// way is that of deliveries: from the actors of a partition to a node.
type way struct {
	part int
	slot uint32
}

// sending counts a delivery, for Unsure, until answered has been called.
func (p *Port) sending(owner uint32, i *item, answered func(*item, error)) func(*item, error) {
	if i.Delivery == nil {
		return answered
	}
	w := way{store.Partition(i.Delivery.From.ID), owner}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[w]++
	return func(answer *item, err error) {
		answered(answer, err)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.sent[w]--; p.sent[w] == 0 {
			delete(p.sent, w)
		}
	}
}

// lostWith says whether a node that has not answered something before its session ended has died. A
// link may end before others take a node for dead, and to one that lives: that answers soon.
func (p *Port) lostWith(owner uint32, what *item, answered func(died bool)) {
	part := -1
	if what.Delivery != nil {
		part = store.Partition(what.Delivery.From.ID)
	}
	p.mu.Lock()
	running, left := p.running, p.endpoint == nil
	if !left {
		p.wait.Add(1)
		p.unsure[part]++
	}
	p.mu.Unlock()
	if left {
		answered(false) // it is this node that has ended it
		return
	}
	go func() {
		defer p.wait.Done()
		ctx, cancel := context.WithTimeout(running, lostFor)
		defer cancel()
		for p.places.Alive(owner) {
			// A link that has ended is ready a moment later, and ends when others know that the node died.
			if _, err := p.ask(ctx, owner, &item{Kind: itemMoment}); err == nil || pause(ctx, moveWait) != nil {
				break
			}
		}
		answered(running.Err() == nil && !p.places.Alive(owner))
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.unsure[part]--; p.unsure[part] == 0 {
			delete(p.unsure, part)
		}
	}()
}

// Unsure implements speaker. The table may say that a node has died before the session with it ends.
func (p *Port) Unsure(part int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unsure[part] > 0 {
		return true
	}
	for w := range p.sent {
		if w.part == part && !p.places.Alive(w.slot) {
			return true
		}
	}
	return false
}

// disconnectHere ends connections to this node's actors, and returns the version of the table of
// which it has all actors.
func (p *Port) disconnectHere(ctx context.Context, d *departure) (version uint64, err error) {
	version = p.places.Version()
	err = p.local.Disconnect(ctx, d.subject, d.reason, d.began)
	for part := range store.Partitions {
		if owner, _ := p.places.Owner(part); owner == 0 {
			return 0, movedFault() // it is being given away, or taken
		}
	}
	if p.places.Version() != version {
		return 0, movedFault()
	}
	return version, err
}

// disconnectAt is disconnectHere of another node.
func (p *Port) disconnectAt(ctx context.Context, slot uint32, d *departure) (version uint64, err error) {
	answer, err := p.askNode(ctx, slot, &item{Kind: itemDisconnect, Subject: d.subject, Reason: d.reason, Moments: d.began})
	if err != nil {
		return 0, err
	}
	return answer.Seq, nil
}

// momentAt returns a moment of the process of another node.
func (p *Port) momentAt(ctx context.Context, slot uint32) (m host.Moment, err error) {
	answer, err := p.askNode(ctx, slot, &item{Kind: itemMoment})
	if err != nil || len(answer.Moments) == 0 {
		return m, err
	}
	return answer.Moments[0], nil
}

// askNode asks a node for something that concerns all of its actors.
func (p *Port) askNode(ctx context.Context, slot uint32, i *item) (*item, error) {
	answer, err := p.ask(ctx, slot, i)
	switch {
	case errors.Is(err, errSessionEnded), errors.Is(err, link.ErrGone):
		return nil, movedFault() // its actors are soon at others
	case err != nil:
		return nil, fmt.Errorf("node %d: %w", slot, err)
	case answer.Err != nil:
		return nil, answer.Err
	}
	return answer, nil
}
