package runtime_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
	"github.com/troupe-dev/troupe/backend/wire"
)

// pair is two nodes on one store, between which the partitions of actors move. It is also
// their courier, with links that delay, lose and repeat.
type pair struct {
	t      *testing.T
	chance *luck
	mem    store.Store
	nodes  [2]*runtime.Node
	stores [2]*storetest.OwnedStore
	old    bool // some deliveries come again, long after

	mu    sync.Mutex
	since [2][store.Partitions]time.Time // zero: the node does not have the partition, as far as it knows
	owner [store.Partitions]int
}

func newPair(t *testing.T, reg *actor.Registry, seed uint64) *pair {
	p := &pair{t: t, chance: newLuck(seed, 21), mem: memory.New(memory.Options{}), old: true}
	for i := range p.nodes {
		p.stores[i] = storetest.Owned(&unreliable{Store: p.mem})
		p.nodes[i] = runtime.New(reg, p.stores[i], runtime.Options{Logger: slog.New(slog.DiscardHandler), Courier: p, Owns: func(part int) (time.Time, bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.since[i][part], !p.since[i][part].IsZero()
		}})
	}
	for part := range store.Partitions {
		p.adopt(part%2, part, false)
	}
	return p
}

func (p *pair) stop() {
	for _, n := range p.nodes {
		if err := n.Shutdown(context.Background()); err != nil {
			p.t.Error(err)
		}
	}
}

func (p *pair) adopt(i, part int, unclean bool) {
	now := time.Now()
	p.mu.Lock()
	p.since[i][part], p.owner[part] = now, i
	p.mu.Unlock()
	if !unclean {
		now = time.Time{}
	}
	runtime.PartitionsOf(p.nodes[i]).Adopt(part, now)
}

func (p *pair) lose(i, part int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since[i][part] = time.Time{}
}

func (p *pair) ownerOf(id string) *runtime.Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nodes[p.owner[store.Partition(id)]]
}

// give has a partition change hands while both nodes are well.
func (p *pair) give(part int) {
	p.mu.Lock()
	from := p.owner[part]
	p.since[from][part] = time.Time{}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := runtime.PartitionsOf(p.nodes[from]).Release(ctx, []int{part}); err != nil {
		p.t.Error(err)
	}
	p.adopt(1-from, part, false)
}

// depose has the other node take over all of a node's partitions. The node hears of it some
// time later, and joins again.
func (p *pair) depose(i int) {
	p.stores[i].Depose()
	var lost []int
	for part, owner := range p.owner {
		if owner == i {
			lost = append(lost, part)
			p.adopt(1-i, part, true)
		}
	}
	time.Sleep(time.Duration(p.chance.IntN(200)) * time.Millisecond)
	for _, part := range lost {
		p.lose(i, part)
		runtime.PartitionsOf(p.nodes[i]).Reset([]int{part})
	}
	time.Sleep(time.Duration(p.chance.IntN(200)) * time.Millisecond)
	p.stores[i].Rejoin()
}

// disturb moves partitions, of refs among others, and deposes nodes.
func (p *pair) disturb(times int, refs ...host.Ref) {
	for range times {
		time.Sleep(time.Duration(p.chance.IntN(300)) * time.Millisecond)
		if p.chance.IntN(8) == 0 {
			p.depose(p.chance.IntN(2))
			continue
		}
		part := p.chance.IntN(store.Partitions)
		if len(refs) > 0 {
			r := refs[p.chance.IntN(len(refs))]
			part = store.Partition(host.ActorID(r.Name, r.Key))
		}
		p.give(part)
	}
}

// carry has f deliver after a while, to the owner at that time, or not at all.
func (p *pair) carry(id string, f func(c host.Courier, counts bool), lost func(error)) {
	send := func(after int, counts bool) {
		time.AfterFunc(time.Duration(p.chance.IntN(after))*time.Millisecond, func() {
			f(runtime.CourierOf(p.ownerOf(id)), counts)
		})
	}
	if p.chance.IntN(15) == 0 {
		lost(errors.New("the link is dead"))
		if p.chance.IntN(2) == 0 {
			return
		}
		send(20_000, false)
		return
	}
	send(40, true)
	if p.old && p.chance.IntN(6) == 0 {
		send(60_000, false)
	}
}

// Deliver implements host.Courier.
func (p *pair) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	p.carry(d.To.ID, func(c host.Courier, counts bool) {
		c.Deliver(d, func(answers []host.DeliveryAnswer, err error) {
			switch {
			case !counts:
			case p.chance.IntN(20) == 0:
				answered(nil, errors.New("the answer is lost"))
			default:
				answered(answers, err)
			}
		})
	}, func(err error) { answered(nil, err) })
}

// Inquire implements host.Courier.
func (p *pair) Inquire(q host.Inquiry, answered func(uint64, error)) {
	p.carry(q.To.ID, func(c host.Courier, counts bool) {
		c.Inquire(q, func(settled uint64, err error) {
			if counts {
				answered(settled, err)
			}
		})
	}, func(err error) { answered(0, err) })
}

// call calls an action of an actor at its owner, as a port would: what has moved did not run.
func (p *pair) call(r host.Ref, action string, args ...any) (raw []byte, err error) {
	r.ID = host.ActorID(r.Name, r.Key)
	for {
		raw, err = p.ownerOf(r.ID).CallOnce(context.Background(), r, host.DirectCall{Create: true, Action: action, Args: encodeArgs(p.t, args)})
		if code(err) != wire.CodeMoved {
			return raw, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
