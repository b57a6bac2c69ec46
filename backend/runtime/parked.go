package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// recountPause is how long a node waits before it counts again, from the first partition on that
// it has got.
const recountPause = 30 * time.Second

// parkedMessages counts the messages that are parked, of all stored actors of the node. Its
// methods may be called at the same time.
type parkedMessages struct {
	again chan struct{} // has an item when run has to count again

	mu    sync.Mutex     // guards the fields below
	of    map[string]int // by the actor; also those that have none any more, until all are counted
	total int
	all   bool // those of actors that have no instance are counted
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

// forget drops what it knows of actors that are no longer this node's.
func (p *parkedMessages) forget(parts *[store.Partitions]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for actor, n := range p.of {
		if parts[store.Partition(actor)] {
			p.total -= n
			delete(p.of, actor)
		}
	}
}

// countAgain says that there are more stored actors: of partitions that the node has got.
func (p *parkedMessages) countAgain() {
	select {
	case p.again <- struct{}{}:
	default:
	}
}

// run counts those that the stored actors have, at the start and again when there are more.
func (p *parkedMessages) run(n *Node) {
	for {
		p.mu.Lock()
		p.all = false
		p.mu.Unlock()
		if !p.count(n) {
			return
		}
		select {
		case <-p.again:
		case <-n.closing:
			return
		}
		// Partitions come in crowds, and each time all actors of the node are listed.
		if n.partitions.owns != nil && !n.pause(recountPause) {
			return
		}
		select {
		case <-p.again: // partitions that have come since are counted, too
		default:
		}
	}
}

// count counts those of the stored actors, and wakes those that would wait for too long because
// the clock was set back. It reports false if the node shuts down.
func (p *parkedMessages) count(n *Node) bool {
	q := store.ListQuery{Limit: 1024}
	woken := 0
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		page, err := n.store.List(context.Background(), q)
		if err != nil {
			n.log.Error("counting parked messages failed; retrying", "error", err)
			if !n.pause(wait) {
				return false
			}
			continue
		}
		p.found(n, page.Actors)
		for i := range page.Actors {
			early, ok := n.waker.wakeEarly(&page.Actors[i])
			if !ok {
				return false
			}
			if early {
				woken++
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
		select {
		case <-n.closing:
			return false
		default:
		}
	}
	if woken > 0 {
		n.log.Warn("the clock was set back while no process looked; what may wait for a try by the old one was woken", "actors", woken)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = true
	for actor, parked := range p.of {
		if parked == 0 {
			delete(p.of, actor)
		}
	}
	return true
}

// found adds stored actors of the node, unless their instances know better.
func (p *parkedMessages) found(n *Node, actors []store.ActorInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range actors {
		if _, known := p.of[a.Actor]; known || a.Parked == 0 {
			continue
		}
		if _, owned := n.partitions.since(a.Actor); !owned {
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
