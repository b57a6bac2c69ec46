package link

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeBus is a bus with bad luck.
type fakeBus struct {
	mu      sync.Mutex
	r       *rand.Rand
	lose    int // one message in lose is lost; 0: none
	repeat  int // likewise comes twice
	delay   time.Duration
	reorder bool
	cut     bool // nothing gets through
	subs    map[string]func([]byte)
	last    map[string]time.Time // when the newest message to a subject arrives
	wait    sync.WaitGroup
}

func newFakeBus(seed uint64) *fakeBus {
	return &fakeBus{r: rand.New(rand.NewPCG(seed, 0)), subs: map[string]func([]byte){}, last: map[string]time.Time{}}
}

func (b *fakeBus) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *fakeBus) Subscribe(subject string, f func([]byte)) (func(), error) {
	b.set(func() { b.subs[subject] = f })
	return func() { b.set(func() { delete(b.subs, subject) }) }, nil
}

func (b *fakeBus) Publish(subject string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut || b.lose > 0 && b.r.IntN(b.lose) == 0 {
		return nil
	}
	data = append([]byte(nil), data...)
	times := 1
	if b.repeat > 0 && b.r.IntN(b.repeat) == 0 {
		times = 2
	}
	for range times {
		at := time.Now().Add(time.Duration(b.r.Int64N(int64(b.delay) + 1)))
		if !b.reorder && !at.After(b.last[subject]) {
			at = b.last[subject].Add(1)
		}
		b.last[subject] = at
		b.wait.Add(1)
		time.AfterFunc(time.Until(at), func() {
			defer b.wait.Done()
			b.mu.Lock()
			f := b.subs[subject]
			b.mu.Unlock()
			if f != nil {
				f(data)
			}
		})
	}
	return nil
}

// A counter is a handler that sends counted items to the other node, and checks those that
// come.
type counter struct {
	t        testing.TB
	slot     uint32
	endpoint *Endpoint
	slow     func() // what Received and Ended do first

	mu       sync.Mutex
	session  uint64 // counts the ends that this node knows of
	sent     uint64 // items in this session
	fill     int    // items to send by Fill
	from     uint64 // the other's session, from its first item
	received uint64 // in this session
	total    int
}

func (c *counter) Subject(slot uint32) string { return "n." + strconv.Itoa(int(slot)) }

func (c *counter) nextLocked(size int) []byte {
	item := make([]byte, 16+size)
	binary.BigEndian.PutUint64(item, c.session)
	binary.BigEndian.PutUint64(item[8:], c.sent)
	return item
}

// state returns what the counter has counted.
func (c *counter) state() (session, sent, received uint64, total int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session, c.sent, c.received, c.total
}

func (c *counter) send(size int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.endpoint.Peer(3 - c.slot).Send(c.nextLocked(size))
	if err == nil {
		c.sent++
	}
	return err
}

func (c *counter) Fill(slot uint32, items [][]byte, max int, used float64) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.fill > 0 && max > 0 {
		items = append(items, c.nextLocked(1000))
		c.sent++
		c.fill--
		max -= 1016
	}
	if c.fill > 0 {
		c.endpoint.Peer(slot).Wake()
	}
	return items
}

func (c *counter) Received(slot uint32, item []byte) {
	c.slow()
	c.mu.Lock()
	defer c.mu.Unlock()
	session, n := binary.BigEndian.Uint64(item), binary.BigEndian.Uint64(item[8:])
	if c.received == 0 {
		if session < c.from {
			c.t.Errorf("node %d: an item of session %d after one of %d", c.slot, session, c.from)
		}
		c.from = session
	}
	if session != c.from || n != c.received {
		c.t.Errorf("node %d: got item %d of session %d, want %d of %d", c.slot, n, session, c.received, c.from)
	}
	c.received = n + 1
	c.total++
}

func (c *counter) Ended(slot uint32) {
	c.slow()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session++
	c.sent, c.received, c.fill = 0, 0, 0
}

func pair(t testing.TB, bus Bus) (a, b *counter) {
	nodes := [2]*counter{}
	for i := range nodes {
		c := &counter{t: t, slot: uint32(i + 1), slow: func() {}}
		e, err := Listen(bus, c.slot, c.Subject(c.slot), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		c.endpoint = e
		nodes[i] = c
	}
	return nodes[0], nodes[1]
}

// TestItemsArriveInOrderOnce sends items both ways over a bus with all kinds of bad luck.
func TestItemsArriveInOrderOnce(t *testing.T) {
	arrived, gaps := 0, int64(0)
	for range 8 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			bus := newFakeBus(seed)
			bus.lose, bus.repeat, bus.delay, bus.reorder = 5, 10, 20*time.Millisecond, seed%2 == 0
			a, b := pair(t, bus)
			r := rand.New(rand.NewPCG(seed, 1))
			slow := func() {
				bus.mu.Lock()
				d := time.Duration(max(0, bus.r.IntN(200)-180)) * time.Millisecond
				bus.mu.Unlock()
				time.Sleep(d)
			}
			a.slow, b.slow = slow, slow
			for range 400 {
				c := a
				if r.IntN(2) == 0 {
					c = b
				}
				size := r.IntN(2000)
				switch r.IntN(40) {
				case 0:
					size = 300<<10 + r.IntN(1<<20)
				case 1:
					c.endpoint.Peer(3 - c.slot).End()
				case 2:
					bus.set(func() { bus.cut = !bus.cut })
				case 3:
					c.mu.Lock()
					c.fill += 600
					c.mu.Unlock()
					c.endpoint.Peer(3 - c.slot).Wake()
				}
				_ = c.send(size)
				if r.IntN(3) == 0 {
					time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
				}
			}
			bus.set(func() { bus.cut, bus.lose = false, 0 })
			time.Sleep(20 * time.Second)
			for _, c := range []*counter{a, b} {
				if n := c.endpoint.stats.UnackedBytes.Load(); n != 0 {
					t.Errorf("node %d still has %d bytes under way", c.slot, n)
				}
			}
			if err := a.send(1); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			_, sent, _, _ := a.state()
			if _, _, received, _ := b.state(); sent != received {
				t.Errorf("seed %d: %d items were sent and %d received", seed, sent, received)
			}
			arrived += a.total + b.total
			gaps += a.endpoint.stats.Gaps.Load()
			a.endpoint.Close()
			b.endpoint.Close()
			bus.wait.Wait()
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if arrived < 500 || gaps == 0 {
		t.Errorf("only %d items arrived, with %d gaps", arrived, gaps)
	}
}

// TestASessionWithoutAnswersEnds checks that both sides learn the end, also the one that had
// nothing to send.
func TestASessionWithoutAnswersEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := newFakeBus(1)
		a, b := pair(t, bus)
		for _, c := range []*counter{a, b} {
			if err := c.send(1); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		bus.set(func() { bus.cut = true })
		if err := a.send(1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(deadAfter - time.Millisecond)
		if session, _, _, _ := a.state(); session != 0 {
			t.Error("the session ended early")
		}
		time.Sleep(2 * time.Millisecond)
		session, _, _, _ := a.state()
		if other, _, _, _ := b.state(); session != 1 || other != 0 {
			t.Errorf("got ends %d and %d, want 1 and 0", session, other)
		}
		bus.set(func() { bus.cut = false })
		if err := a.send(1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if session, _, received, _ := b.state(); session != 1 || received != 1 {
			t.Errorf("got %d ends and %d items at the other, want 1 and 1", session, received)
		}
		a.endpoint.Retain(func(slot uint32) bool { return slot != 2 })
		if err := a.send(1); err != ErrGone {
			t.Errorf("got %v, want ErrGone", err)
		}
		synctest.Wait()
		if session, _, _, _ := a.state(); session != 2 {
			t.Errorf("got %d ends after Drop, want 2", session)
		}
		a.endpoint.Close()
		b.endpoint.Close()
	})
}

// TestG8_TheWindowIsBounded sends to a node that is stopped.
func TestG8_TheWindowIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := newFakeBus(1)
		a, b := pair(t, bus)
		if err := a.send(20 << 20); err != nil {
			t.Errorf("an item larger than the window: %v", err)
		}
		time.Sleep(time.Second)
		bus.set(func() { bus.cut = true })
		n := 0
		for ; a.send(100<<10) == nil; n++ {
		}
		if n != 81 {
			t.Errorf("%d items of 100 KiB were taken, want 81", n)
		}
		a.mu.Lock()
		a.fill = 10
		a.mu.Unlock()
		a.endpoint.Peer(2).Wake()
		time.Sleep(time.Second)
		bus.set(func() { bus.cut = false })
		time.Sleep(3 * time.Second)
		if _, _, _, total := b.state(); total != 1+n+10 {
			t.Errorf("%d items have arrived, want %d", total, 1+n+10)
		}
		bus.set(func() { bus.cut = true })
		for range 200 {
			_ = a.endpoint.Peer(2).Answer(make([]byte, 100<<10))
		}
		synctest.Wait()
		if session, _, _, _ := a.state(); session != 1 {
			t.Error("answers that nobody takes did not end the session")
		}
		a.endpoint.Close()
		b.endpoint.Close()
	})
}
