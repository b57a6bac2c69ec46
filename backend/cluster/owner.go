package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Bounds of what an owner keeps for a node that is behind.
const (
	fillBatch = 128     // outputs of a log in one item
	maxKept   = 1 << 20 // bytes of answers that are in no store, for a node
)

// served is what another node does here. A follow costs a position, however far the node
// is behind.
type served struct {
	port *Port
	slot uint32

	mu      sync.Mutex // guards the fields below and those of the follows; no other lock is taken under it but a log's
	ended   bool
	follows map[uint64]*follow
	dirty   []*follow // that have outputs to send
	kept    int       // bytes in follow.kept

	requests map[uint64]context.CancelFunc // for sockets, by number
	parts    []*answerPart                 // of their answers, to be sent
}

// follow is a log that another node has a copy of.
type follow struct {
	served   *served
	ref      host.Ref
	number   uint64
	log      *host.Log
	ready    bool
	dirty    bool
	pos      host.Pos // the next output to send
	identity string   // that the copy has
	seen     host.Pos // what is before it was looked through for kept
	kept     []*host.Output
	lost     bool // kept was too large
}

// serving returns what a node does here.
func (p *Port) serving(slot uint32) *served {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.served[slot]
	if s == nil {
		s = &served{port: p, slot: slot, follows: map[uint64]*follow{}, requests: map[uint64]context.CancelFunc{}}
		p.served[slot] = s
	}
	return s
}

// unserve ends what a node does here: its session is over.
func (p *Port) unserve(slot uint32) {
	p.mu.Lock()
	s := p.served[slot]
	delete(p.served, slot)
	p.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	s.ended = true
	follows, requests := s.follows, s.requests
	s.follows, s.dirty, s.requests, s.parts = nil, nil, nil, nil
	s.mu.Unlock()
	for _, cancel := range requests {
		cancel()
	}
	for _, f := range follows {
		p.local.Unfollow(f.ref, f)
	}
	p.local.DetachNode(slot)
}

// Received implements link.Handler.
func (p *Port) Received(slot uint32, data []byte) {
	i, err := parseItem(data)
	if err != nil {
		// To pass it over would leave a hole. Those who wait for it learn that it is lost.
		p.log.Error("an item of another node cannot be read: is it of a newer version?", "slot", slot, "error", err)
		if peer := p.peer(slot); peer != nil {
			peer.End()
		}
		return
	}
	switch i.Kind {
	case itemFollowing, itemOutputs, itemSkip, itemRefused:
		p.mu.Lock()
		c := p.copies[i.Number]
		p.mu.Unlock()
		if c != nil && c.slot == slot {
			c.received(i)
		}
	case itemPart:
		p.receivedPart(slot, i)
	case itemDone:
		p.answeredItem(slot, i)
	default:
		p.serving(slot).handle(i)
	}
}

// handle passes a request on to its actor.
func (s *served) handle(i *item) {
	p := s.port
	var err error
	refused := &item{Kind: itemRefused, Number: i.Number, Of: i.Kind}
	switch i.Kind {
	case itemFollow:
		err = s.follow(i)
	case itemUnfollow:
		s.unfollow(i.Number)
	case itemOpen:
		refused.Attachment = i.Open.Attachment
		if err = s.current(i.Open.Attachment); err == nil {
			err = p.local.Open(i.Ref, *i.Open)
		}
	case itemRefresh:
		refused.Attachment = i.Refresh.Attachment
		if err = s.current(i.Refresh.Attachment); err == nil {
			err = p.local.Refresh(i.Ref, *i.Refresh)
		}
	case itemSubscribe:
		refused.Attachment, refused.Seq = i.Subscribe.Attachment, i.Subscribe.ID
		err = p.local.Subscribe(i.Ref, *i.Subscribe)
	case itemCall:
		refused.Attachment, refused.Seq = i.Call.Attachment, i.Call.ID
		err = p.local.Call(i.Ref, *i.Call)
	case itemAck:
		p.local.Ack(i.Ref, i.Attachment, i.Seq)
	case itemDetach:
		p.local.Detach(i.Ref, i.Attachment)
	case itemClose:
		p.local.Close(i.Ref, i.Attachment)
	case itemDeliver:
		p.courier.Deliver(i.Delivery, func(answers []host.DeliveryAnswer, err error) {
			s.done(i.Number, &item{Answers: answers}, err)
		})
	case itemInquire:
		p.courier.Inquire(*i.Inquiry, func(settled uint64, err error) {
			s.done(i.Number, &item{Seq: settled}, err)
		})
	case itemMoment:
		s.done(i.Number, &item{Moments: []host.Moment{p.local.Moment()}}, nil)
	case itemSocket:
		s.socket(i)
	case itemInspect:
		s.inspect(i)
	case itemCancel:
		s.cancel(i.Number)
	default:
		s.serve(i)
	}
	if err != nil {
		refused.Err = p.fault(err)
		_ = p.send(s.slot, refused, true)
	}
}

// current returns why an identity from the node must not be believed: the node is out of the
// cluster and a Disconnect may have passed it over, or it sends what it began before that.
func (s *served) current(a host.Attachment) error {
	if a.Node != s.slot || !s.port.places.Alive(s.slot) {
		return movedFault()
	}
	return nil
}

// fault is an error as other nodes may see it.
func (p *Port) fault(err error) *host.Fault {
	var fault *host.Fault
	if errors.As(err, &fault) {
		return fault
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return host.Faultf(wire.CodeMaybeRan, "the actor did not answer in time")
	}
	p.log.Error("a request of another node failed", "error", err)
	return host.Faultf(wire.CodeUnavailable, "the request failed on the actor's node")
}

// done answers a request.
func (s *served) done(number uint64, answer *item, err error) {
	answer.Kind, answer.Number = itemDone, number
	if err != nil {
		answer.Err = s.port.fault(err)
	}
	_ = s.port.send(s.slot, answer, true) // else the session has ended, and the other side knows
}

// serve runs a request that waits, in a goroutine of its own.
func (s *served) serve(i *item) {
	p := s.port
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.endpoint == nil {
		return
	}
	running := p.running
	p.wait.Go(func() {
		ctx, cancel := context.WithTimeout(running, max(0, min(i.Wait, maxWait)))
		defer cancel()
		answer := &item{}
		var err error
		switch i.Kind {
		case itemCallOnce:
			answer.Data, err = p.local.CallOnce(ctx, i.Ref, *i.Direct)
		case itemCreate:
			answer.Ref.ID, err = p.local.Create(ctx, i.Ref, i.Data, i.Identity)
		case itemFind:
			answer.Ref, err = p.local.Find(ctx, i.Ref, i.Identity)
		case itemResolve:
			answer.Ref, err = p.local.Resolve(ctx, i.Ref)
		case itemDisconnect:
			answer.Seq, err = p.disconnectHere(ctx, &departure{i.Subject, i.Reason, i.Moments})
		case itemEntries, itemReplies:
			answer.Entries, err = s.entries(ctx, i)
		}
		s.done(i.Number, answer, err)
	})
}

// entries reads entries for a copy.
func (s *served) entries(ctx context.Context, i *item) ([]store.Entry, error) {
	s.mu.Lock()
	f := s.follows[i.Follow]
	s.mu.Unlock()
	if f == nil {
		return nil, movedFault()
	}
	var outputs []*host.Output
	var err error
	if i.Kind == itemEntries {
		outputs, err = f.log.Stored(ctx, i.Seq, i.Limit, i.Max)
	} else {
		outputs, err = f.log.Replies(ctx, i.Producer, i.Seq, i.Limit, i.Max)
	}
	entries := make([]store.Entry, len(outputs))
	for n, o := range outputs {
		entries[n] = o.Entry()
		entries[n].Time = time.UnixMilli(o.TimeMs)
	}
	return entries, err
}

// follow begins to send the outputs of a log.
func (s *served) follow(i *item) error {
	f := &follow{served: s, ref: i.Ref, number: i.Number}
	log, err := s.port.local.Follow(i.Ref, f)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		s.port.local.Unfollow(i.Ref, f)
		return nil
	}
	f.log, f.seen = log, log.Visible()
	head := f.jumpLocked()
	s.dropKeptLocked(f) // what is before the follow is for nobody there
	s.follows[f.number] = f
	s.mu.Unlock()

	// Before anything else of this follow.
	_ = s.port.send(s.slot, &item{Kind: itemFollowing, Number: f.number, Log: f.identity, Seq: head}, true)
	s.mu.Lock()
	f.ready = true
	s.mu.Unlock()
	f.Published() // what came meanwhile
	return nil
}

// jumpLocked puts the follow behind what is visible and was looked through, and returns the
// number of the last entry there.
func (f *follow) jumpLocked() (head uint64) {
	for {
		f.keepLocked()
		if f.identity, head = f.log.Identity(), f.log.Head(); f.seen == f.log.Visible() && f.identity == f.log.Identity() {
			f.pos = f.seen
			return head
		}
	}
}

func (s *served) unfollow(number uint64) {
	s.mu.Lock()
	f := s.follows[number]
	delete(s.follows, number)
	if f != nil {
		s.dropKeptLocked(f)
	}
	s.mu.Unlock()
	if f != nil {
		s.port.local.Unfollow(f.ref, f)
	}
}

// Published implements host.Follower. It must not wait.
func (f *follow) Published() {
	s := f.served
	s.mu.Lock()
	wake := f.ready && !f.dirty && !s.ended
	if wake {
		f.dirty = true
		s.dirty = append(s.dirty, f)
	} else if f.dirty {
		f.keepLocked() // the node is slow: the log may lose what only it has
	}
	s.mu.Unlock()
	if wake {
		if peer := s.port.peer(s.slot); peer != nil {
			peer.Wake()
		}
	}
}

// keepLocked keeps new outputs that are for the node's gateway alone and in no store.
func (f *follow) keepLocked() {
	s := f.served
	f.seen = max(f.seen, f.pos)
	for {
		outputs, next, ok := f.log.Read(f.seen, nil, fillBatch)
		if !ok {
			f.lost = true
			f.seen = f.log.Visible()
			return
		}
		f.seen = next
		if len(outputs) == 0 {
			return
		}
		for _, o := range outputs {
			if o.Numbered || o.To.Node != s.slot {
				continue
			}
			if s.kept+o.Size() > maxKept {
				f.lost = true
				continue
			}
			s.kept += o.Size()
			f.kept = append(f.kept, o)
		}
	}
}

func (s *served) dropKeptLocked(f *follow) {
	for _, o := range f.kept {
		s.kept -= o.Size()
	}
	f.kept, f.lost = nil, false
}

// Fill implements link.Handler: it sends answers that wait for room, and what is next of the
// logs that have something new.
func (p *Port) Fill(slot uint32, items [][]byte, max int, used float64) [][]byte {
	p.mu.Lock()
	s := p.served[slot]
	p.mu.Unlock()
	if s == nil {
		return items
	}
	s.mu.Lock()
	items, max = s.fillPartsLocked(items, max)
	var next []*item
	for len(s.dirty) > 0 && max > 0 {
		f := s.dirty[0]
		s.dirty = s.dirty[1:]
		if s.follows[f.number] != f {
			continue
		}
		i, more := f.nextLocked(max, used > 0.5)
		if f.dirty = more; more {
			s.dirty = append(s.dirty, f)
		}
		if i != nil {
			next = append(next, i)
			for _, o := range i.Outputs {
				max -= o.Size()
			}
		}
	}
	more := len(s.dirty) > 0 || len(s.parts) > 0
	s.mu.Unlock()
	for _, i := range next { // without the lock, because Published needs it
		items = append(items, i.encode())
	}
	if more {
		if peer := p.peer(slot); peer != nil {
			peer.Wake()
		}
	}
	return items
}

// nextLocked returns the next outputs for the copy, of about room bytes, and whether there are more.
func (f *follow) nextLocked(room int, full bool) (i *item, more bool) {
	s := f.served
	identity := f.log.Identity()
	outputs, next, ok := f.log.Read(f.pos, nil, fillBatch)
	if n := fitting(outputs, room); n < len(outputs) {
		outputs, next, ok = f.log.Read(f.pos, outputs[:0], n)
	}
	if !ok {
		head := f.jumpLocked()
		rest, lost := f.kept, f.lost
		s.dropKeptLocked(f)
		return &item{Kind: itemSkip, Number: f.number, Log: f.identity, Seq: head, Lost: lost, Outputs: rest}, true
	}
	if identity != f.log.Identity() {
		return nil, true // it has just begun a new life: look again
	}
	if len(outputs) == 0 {
		s.dropKeptLocked(f)
		return nil, false
	}
	i = &item{Kind: itemOutputs, Number: f.number, Log: identity}
	if i.Seq = outputs[0].Seq; outputs[0].Numbered {
		i.Seq--
	}
	for _, o := range outputs {
		if o.Numbered || (o.To.IsZero() || o.To.Node == s.slot) && !(full && o.Volatile) {
			i.Outputs = append(i.Outputs, o)
		}
	}
	started := identity != f.identity
	f.pos, f.identity = next, identity
	if len(i.Outputs) == 0 && !started {
		return nil, true
	}
	return i, true
}

// fitting returns how many of the outputs have room, but at least one if there are any.
func fitting(outputs []*host.Output, room int) int {
	for n, o := range outputs {
		if room -= o.Size(); room < 0 && n > 0 {
			return n
		}
	}
	return len(outputs)
}
