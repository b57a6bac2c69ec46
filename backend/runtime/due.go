package runtime

import (
	"container/heap"
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// waker wakes the actors that are due and not in memory. It is only a hint for them: the
// truth is the list of an actor's messages, and one that is awake wakes itself.
//
// It reads the times of the near future from the store, and again after dueSpan. Between,
// actors that leave memory say when they are due (add). Its run is one goroutine; the other
// methods may be called from any.
type waker struct {
	node   *Node
	anew   atomic.Bool   // the next read of the store begins at its first time
	loads  chan struct{} // permits of actors that are being loaded
	flying chan struct{} // permits of actors whose turns are not durable yet
	kick   chan struct{} // there is an earlier time

	// Owned by run.
	position store.Wake    // the store is read up to here
	rescan   time.Time     // when it is read from the start again
	end      bool          // all of the time before rescan is read
	offset   time.Duration // of the clock, as it was last
	back     time.Duration // it was set back: those due in this time, from rescan on, are woken, too

	mu     sync.Mutex               // guards the fields below
	next   wakeHeap                 // sleeping actors
	failed wakeHeap                 // actors that could not be loaded: when to try again
	waits  map[string]time.Duration // of these: how long the last wait was
	waking map[string]bool          // posted, and not loaded yet
	sleeps time.Time                // until when run sleeps
}

const (
	dueSpan     = 30 * time.Second // how far ahead the store is read; also when a clock that jumped is noticed
	duePage     = 256              // actors in a page
	maxDue      = 1024             // of the next ones that are kept; more are read as these are woken
	maxFlying   = 256              // actors that were woken and are not durable yet
	firstReload = time.Second      // after which an actor that cannot be loaded is tried again; doubles
	maxReload   = 5 * time.Minute
	clockJump   = 2 * time.Second       // between the two clocks of the process
	turnsFor    = 10 * time.Millisecond // how long the turns of an actor keep the next one from being loaded, at most
)

func newWaker(n *Node) *waker {
	w := &waker{
		node: n, loads: make(chan struct{}, wakers), flying: make(chan struct{}, maxFlying), kick: make(chan struct{}, 1),
		waits: map[string]time.Duration{}, waking: map[string]bool{}, next: newWakeHeap(), failed: newWakeHeap(),
	}
	w.offset = w.clockOffset()
	return w
}

// run wakes actors until the node shuts down.
func (w *waker) run() {
	failures, trouble := 0, time.Duration(0)
	for {
		w.checkClock()
		more, err := w.read()
		if trouble = 0; err != nil {
			failures++
			trouble = min(time.Second<<min(failures-1, 6), time.Minute)
			w.node.log.Error("finding actors that are due failed; retrying", "error", err)
		} else {
			failures = 0
		}
		if !w.wakeAll() || !more && !w.sleep(trouble) {
			return
		}
	}
}

// checkClock has all awake actors look at the clock if it was set: their alarms count the
// time that passes, and what they send waits by the clock.
func (w *waker) checkClock() {
	offset := w.clockOffset()
	moved := offset - w.offset
	w.offset = offset
	if moved.Abs() < clockJump {
		return
	}
	w.node.log.Warn("the clock was set", "by", moved)
	for _, a := range w.node.awake() {
		a.wakeSends()
	}
	w.rescan = time.Time{}
	if moved > 0 {
		return
	}
	// What waits for a while, as a sender for its next try, would wait for that much longer. One
	// that sleeps does not say for what it waits, so all of them are woken.
	w.back = max(w.back, maxRetry) - moved
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.failed.wakes {
		w.failed.wakes[i].At = w.failed.wakes[i].At.Add(moved)
	}
}

// clockOffset returns how much more the clock says than the time that has passed.
func (w *waker) clockOffset() time.Duration {
	started := w.node.started
	return w.node.now().Round(0).Sub(started.Round(0)) - time.Since(started)
}

// read reads a page of the actors that are due soon. more reports whether there are others
// that may be due now.
func (w *waker) read() (more bool, err error) {
	now := w.node.now()
	if w.anew.Swap(false) || w.rescan.IsZero() || w.back == 0 && !now.Before(w.rescan) {
		w.position, w.rescan, w.end = store.Wake{}, now.Add(dueSpan), false
	}
	if w.end || w.position.At.After(now) && w.waiting() >= maxDue {
		return false, nil
	}
	page, err := w.node.store.Due(context.Background(), w.position, w.rescan.Add(w.back), duePage)
	if err != nil {
		return false, err
	}
	for _, wake := range page {
		if w.back > 0 {
			wake.At = earlier(wake.At, now)
		}
		w.found(wake)
	}
	if w.end = len(page) < duePage; w.end {
		w.back = 0
	} else {
		w.position = page[len(page)-1]
	}
	return !w.end, nil
}

func (w *waker) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next.Len()
}

// readAgain has the store read from the start again.
func (w *waker) readAgain() {
	w.anew.Store(true)
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// found notes an actor that the store has. An awake one wakes itself.
func (w *waker) found(wake store.Wake) {
	if _, owned := w.node.partitions.since(wake.Actor); !owned || w.isLoaded(wake.Actor) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.waking[wake.Actor] && !w.failed.has(wake.Actor) {
		w.next.set(wake)
	}
}

// isLoaded reports whether an actor is in memory and wakes itself when it is due.
func (w *waker) isLoaded(id string) bool {
	w.node.mu.Lock()
	defer w.node.mu.Unlock()
	a := w.node.actors[id]
	return a != nil && a.loaded.Load()
}

// add notes when an actor that leaves memory is due.
func (w *waker) add(id string, due time.Time) {
	if due.IsZero() || due.After(w.node.now().Add(dueSpan+time.Second)) {
		return // it is read in time
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.setLocked(&w.next, store.Wake{At: due, Actor: id})
}

// setLocked adds an actor to a heap, and ends the sleep of run if that has to be earlier.
func (w *waker) setLocked(h *wakeHeap, wake store.Wake) {
	h.set(wake)
	if wake.At.Before(w.sleeps) {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
}

// wakeAll wakes those that are due. It reports false if the node shuts down.
func (w *waker) wakeAll() bool {
	for {
		id, due := w.take()
		if !due {
			return true
		}
		if woken, ok := w.wake(id); !woken {
			return ok
		}
		runtime.Gosched() // else this goroutine and those that it wakes keep a processor to themselves
	}
}

// take returns an actor that is due and not in memory.
func (w *waker) take() (id string, ok bool) {
	now := w.node.now()
	for {
		w.mu.Lock()
		wake, ok := w.next.due(now)
		if !ok {
			wake, ok = w.failed.due(now)
		}
		if ok && !w.waking[wake.Actor] {
			w.waking[wake.Actor] = true
		} else if ok {
			wake.Actor = ""
		}
		w.mu.Unlock()
		switch {
		case !ok:
			return "", false
		case wake.Actor == "":
		case w.isLoaded(wake.Actor):
			w.loaded(wake.Actor, nil)
		default:
			return wake.Actor, true
		}
	}
}

// wake wakes one actor, when there is a permit. If there is none for a while, the actor stays
// due, and woken is false. ok is false if the node shuts down.
func (w *waker) wake(id string) (woken, ok bool) {
	for i, permits := range []chan struct{}{w.flying, w.loads} {
		if woken, ok = w.acquire(permits); woken {
			continue
		}
		if i > 0 {
			<-w.flying
		}
		w.mu.Lock()
		delete(w.waking, id)
		w.next.set(store.Wake{At: w.node.now(), Actor: id})
		w.mu.Unlock()
		return false, ok
	}
	m := &dueEnvelope{waker: w, id: id}
	if err := w.node.post(host.Ref{ID: id}, m); err == errMoved {
		m.unload(errMoved)
	} else if err != nil {
		m.unload(host.Faultf(wire.CodeUnavailable, "the actor cannot be woken: %s", err))
	}
	return true, true
}

// wakeEarly wakes a stored actor that was changed in the future and is due soon after that: the
// clock was set back while no process looked, and it may wait for a try. It waits for permits, and
// reports whether there was such an actor. ok is false if the node shuts down.
func (w *waker) wakeEarly(a *store.ActorInfo) (early, ok bool) {
	if a.Changed.Sub(w.node.now()) <= clockJump || a.Due.IsZero() || a.Due.After(a.Changed.Add(maxRetry+findSender)) {
		return false, true
	}
	if _, owned := w.node.partitions.since(a.Actor); !owned || w.isLoaded(a.Actor) {
		return false, true
	}
	w.mu.Lock()
	comes := w.waking[a.Actor] || w.failed.has(a.Actor)
	if !comes {
		w.waking[a.Actor] = true
	}
	w.mu.Unlock()
	if !comes {
		_, ok = w.wake(a.Actor)
	}
	return true, comes || ok
}

// acquire waits for a permit, but not for so long that the clock is not looked at. ok is false
// if the node shuts down.
func (w *waker) acquire(permits chan<- struct{}) (acquired, ok bool) {
	select {
	case permits <- struct{}{}:
		return true, true
	default:
	}
	timer := time.NewTimer(dueSpan)
	defer timer.Stop()
	select {
	case permits <- struct{}{}:
		return true, true
	case <-timer.C:
		return false, true
	case <-w.node.closing:
		return false, false
	}
}

// loaded notes that an actor is in memory, or why it is not.
func (w *waker) loaded(id string, err *host.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waking, id)
	if err == nil || err.Code == wire.CodeNotFound || err == errMoved {
		delete(w.waits, id)
		return
	}
	wait := min(max(2*w.waits[id], firstReload), maxReload)
	w.waits[id] = wait
	w.setLocked(&w.failed, store.Wake{At: w.node.now().Add(wait), Actor: id})
}

// sleep waits until there is something to do. It reports false if the node shuts down.
// trouble is how long to leave the store alone, if not 0.
func (w *waker) sleep(trouble time.Duration) bool {
	now := w.node.now()
	until := w.rescan
	switch {
	case trouble > 0:
		until = now.Add(trouble)
	case !w.end && w.position.At.Before(until):
		until = w.position.At
	}
	w.mu.Lock()
	for _, h := range []*wakeHeap{&w.next, &w.failed} {
		if at, ok := h.first(); ok && at.Before(until) {
			until = at
		}
	}
	w.sleeps = until
	w.mu.Unlock()
	timer := time.NewTimer(until.Sub(now))
	defer timer.Stop()
	select {
	case <-w.node.closing:
		return false
	case <-timer.C:
	case <-w.kick:
	}
	return true
}

// dueEnvelope wakes an actor that is due: it runs its messages before the envelope is
// delivered.
type dueEnvelope struct {
	waker  *waker
	id     string
	loaded atomic.Bool // its permit is returned
	timer  *time.Timer // which returns it
}

func (m *dueEnvelope) size() int { return 0 }

func (m *dueEnvelope) refuse(a *Actor, err *host.Fault) {
	m.unload(err)
	a.box.post(idleEnvelope{})
}

// unload notes that the actor could not be loaded.
func (m *dueEnvelope) unload(err *host.Fault) {
	m.waker.loaded(m.id, err)
	m.letLoad()
	<-m.waker.flying
}

// letLoad lets another actor be loaded.
func (m *dueEnvelope) letLoad() {
	if m.loaded.CompareAndSwap(false, true) {
		<-m.waker.loads
	}
}

// letLoadSoon is letLoad when the turns of the actor have run, but after a while at the latest:
// they may wait for something. A crowd whose turns all run at once delays everybody else.
func (m *dueEnvelope) letLoadSoon() { m.timer = time.AfterFunc(turnsFor, m.letLoad) }

func (m *dueEnvelope) deliver(in *instance) bool {
	m.waker.loaded(m.id, nil)
	if m.letLoad(); m.timer != nil {
		m.timer.Stop()
	}
	durable := func(*host.Output, *host.Fault) { <-m.waker.flying }
	out := []*host.Output{{Kind: host.OutputReply, Done: durable}}
	in.number(out, time.Now())
	in.actor.gate.put(out, nil)
	in.actor.box.post(idleEnvelope{}) // unless it is needed for something else
	return true
}

// wakeHeap has actors by the times at which they are to be woken.
type wakeHeap struct {
	wakes []store.Wake
	index map[string]int // by the actor
}

func newWakeHeap() wakeHeap { return wakeHeap{index: map[string]int{}} }

// Len implements heap.Interface, as the next four do.
func (h *wakeHeap) Len() int           { return len(h.wakes) }
func (h *wakeHeap) Less(i, j int) bool { return h.wakes[i].At.Before(h.wakes[j].At) }

func (h *wakeHeap) Swap(i, j int) {
	h.wakes[i], h.wakes[j] = h.wakes[j], h.wakes[i]
	h.index[h.wakes[i].Actor], h.index[h.wakes[j].Actor] = i, j
}

func (h *wakeHeap) Push(x any) {
	wake := x.(store.Wake)
	h.index[wake.Actor] = len(h.wakes)
	h.wakes = append(h.wakes, wake)
}

func (h *wakeHeap) Pop() any {
	last := len(h.wakes) - 1
	wake := h.wakes[last]
	h.wakes[last] = store.Wake{}
	h.wakes = h.wakes[:last]
	delete(h.index, wake.Actor)
	if last == 0 {
		h.wakes = nil
	}
	return wake
}

func (h *wakeHeap) has(actor string) bool {
	_, ok := h.index[actor]
	return ok
}

// set sets the time of an actor.
func (h *wakeHeap) set(wake store.Wake) {
	if i, ok := h.index[wake.Actor]; ok {
		h.wakes[i].At = wake.At
		heap.Fix(h, i)
		return
	}
	heap.Push(h, wake)
}

// first returns the earliest time.
func (h *wakeHeap) first() (at time.Time, ok bool) {
	if len(h.wakes) == 0 {
		return time.Time{}, false
	}
	return h.wakes[0].At, true
}

// due takes the earliest actor, if its time has come.
func (h *wakeHeap) due(now time.Time) (wake store.Wake, ok bool) {
	if len(h.wakes) == 0 || h.wakes[0].At.After(now) {
		return store.Wake{}, false
	}
	return heap.Pop(h).(store.Wake), true
}
