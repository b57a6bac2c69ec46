package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// fakeBus is core NATS with bad luck: messages come late, or not at all. Each process has an
// end of it.
type fakeBus struct {
	*chance
	lose int           // one message in lose is lost; 0: none
	late time.Duration // at most [5 ms]
	mu   sync.Mutex
	subs map[*busEnd]map[string]func([]byte)
	last map[*busEnd]time.Time // when the newest message to an end arrives: they keep their order
}

// busEnd is a process's connection.
type busEnd struct {
	bus *fakeBus
	cut atomic.Bool
}

func (e *busEnd) Subscribe(subject string, f func([]byte)) (func(), error) {
	e.bus.mu.Lock()
	defer e.bus.mu.Unlock()
	if e.bus.subs[e] == nil {
		e.bus.subs[e] = map[string]func([]byte){}
	}
	e.bus.subs[e][subject] = f
	return func() {
		e.bus.mu.Lock()
		defer e.bus.mu.Unlock()
		delete(e.bus.subs[e], subject)
	}, nil
}

func (e *busEnd) Publish(subject string, data []byte) error {
	if e.cut.Load() {
		return nil
	}
	data = slices.Clone(data)
	e.bus.mu.Lock()
	defer e.bus.mu.Unlock()
	if e.bus.last == nil {
		e.bus.last = map[*busEnd]time.Time{}
	}
	for to, subs := range e.bus.subs {
		if subs[subject] == nil || e.bus.oneIn(e.bus.lose) {
			continue
		}
		at := time.Now().Add(e.bus.upTo(cmp.Or(e.bus.late, 5*time.Millisecond)))
		if !at.After(e.bus.last[to]) {
			at = e.bus.last[to].Add(1)
		}
		e.bus.last[to] = at
		time.AfterFunc(time.Until(at), func() {
			e.bus.mu.Lock()
			f := e.bus.subs[to][subject]
			e.bus.mu.Unlock()
			if f != nil && !to.cut.Load() {
				f(data)
			}
		})
	}
	return nil
}

// registerEnd is a process's way to the register.
type registerEnd struct {
	register *fakeRegister
	road     *fakeRegister
}

func (e *registerEnd) read(ctx context.Context) ([]byte, uint64, error) {
	if err := e.road.way(ctx); err != nil {
		return nil, 0, err
	}
	return e.register.read(ctx)
}

func (e *registerEnd) write(ctx context.Context, value []byte, expected uint64) (uint64, error) {
	if e.road.late() {
		time.AfterFunc(e.road.chance.upTo(4*time.Second), func() { _, _ = e.register.put(value, expected) })
		<-ctx.Done()
		return 0, ctx.Err()
	}
	if err := e.road.way(ctx); err != nil {
		return 0, err
	}
	revision, err := e.register.put(value, expected)
	if err := e.road.way(ctx); err != nil {
		return 0, err
	}
	return revision, err
}
