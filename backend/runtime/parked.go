package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// parkedMessages counts the messages that are parked, of all stored actors. Its methods may
// be called at the same time.
type parkedMessages struct {
	mu    sync.Mutex     // guards the fields below
	of    map[string]int // by the actor; also those that have none any more, until all are counted
	total int
	all   bool // those that were parked before the start are counted
}

// set sets how many an actor has.
func (p *parkedMessages) set(actor string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total += n - p.of[actor]
	if n == 0 && p.all {
		delete(p.of, actor)
		return
	}
	if p.of == nil {
		p.of = map[string]int{}
	}
	p.of[actor] = n
}

// count counts those that were parked before the node's start.
func (p *parkedMessages) count(n *Node) {
	q := store.ListQuery{Limit: 256}
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		page, err := n.store.List(context.Background(), q)
		if err != nil {
			n.log.Error("counting parked messages failed; retrying", "error", err)
			if !n.pause(wait) {
				return
			}
			continue
		}
		p.found(page.Actors)
		if q.After = page.Next; q.After == "" {
			break
		}
		select {
		case <-n.closing:
			return
		default:
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = true
	for actor, parked := range p.of {
		if parked == 0 {
			delete(p.of, actor)
		}
	}
}

// found adds stored actors, unless their instances know better.
func (p *parkedMessages) found(actors []store.ActorInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range actors {
		if _, known := p.of[a.Actor]; known || a.Parked == 0 {
			continue
		}
		if p.of == nil {
			p.of = map[string]int{}
		}
		p.of[a.Actor] = a.Parked
		p.total += a.Parked
	}
}

func (p *parkedMessages) load() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}
