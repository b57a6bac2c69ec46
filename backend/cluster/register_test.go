package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// chance is seeded chance for several goroutines.
type chance struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newChance(seed uint64) *chance { return &chance{r: rand.New(rand.NewPCG(seed, 0))} }

func (c *chance) intN(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.IntN(n)
}

// oneIn reports true once in n times; never if n is 0.
func (c *chance) oneIn(n int) bool { return n > 0 && c.intN(n) == 0 }

// upTo returns a random duration.
func (c *chance) upTo(d time.Duration) time.Duration { return time.Duration(c.intN(int(d) + 1)) }

// A fakeRegister is a register with bad luck: it answers late or never, old values, and
// writes that its caller has given up take place later.
type fakeRegister struct {
	chance *chance
	blind  bool // broken on purpose: it does not compare

	mu     sync.Mutex
	delay  time.Duration // of requests and of answers, at most
	lose   int           // one in lose requests, and answers, is lost; 0: none
	cut    bool          // all are lost
	values [][]byte      // values[i] has revision i+1
}

var errLost = errors.New("no answer")

func (f *fakeRegister) read(ctx context.Context) ([]byte, uint64, error) {
	if err := f.way(ctx); err != nil {
		return nil, 0, err
	}
	f.mu.Lock()
	n := len(f.values)
	n = max(0, n-f.chance.intN(3)) // a replica that is behind, perhaps so far that it has none
	var value []byte
	if n > 0 {
		value = f.values[n-1]
	}
	f.mu.Unlock()
	return value, uint64(n), f.way(ctx)
}

func (f *fakeRegister) write(ctx context.Context, value []byte, expected uint64) (uint64, error) {
	if f.late() {
		time.AfterFunc(f.chance.upTo(5*time.Second), func() { _, _ = f.put(value, expected) })
		<-ctx.Done()
		return 0, ctx.Err()
	}
	if err := f.way(ctx); err != nil {
		return 0, err
	}
	revision, stale := f.put(value, expected)
	if err := f.way(ctx); err != nil {
		return 0, err
	}
	return revision, stale
}

func (f *fakeRegister) put(value []byte, expected uint64) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if uint64(len(f.values)) != expected && !f.blind {
		return 0, ErrStale
	}
	f.values = append(f.values, value)
	return uint64(len(f.values)), nil
}

// way is the way of a request or an answer.
func (f *fakeRegister) way(ctx context.Context) error {
	f.mu.Lock()
	lost, delay := f.cut || f.chance.oneIn(f.lose), f.chance.upTo(f.delay)
	f.mu.Unlock()
	if lost {
		ctx, cancel := context.WithTimeout(ctx, tryFor)
		defer cancel()
		<-ctx.Done()
		return errLost
	}
	return pause(ctx, delay)
}

// late reports whether a write should take place after its caller has given up.
func (f *fakeRegister) late() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.cut && f.chance.oneIn(2*f.lose)
}

// set changes its luck.
func (f *fakeRegister) set(change func(*fakeRegister)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// TestChangesAreMadeOnce lets nodes count in their own entries of the table, through a register
// that loses requests and answers and is late.
func TestChangesAreMadeOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		const nodes, changes = 4, 25
		f := &fakeRegister{chance: newChance(seed), delay: 30 * time.Millisecond, lose: 8}
		var wait sync.WaitGroup
		for i := range nodes {
			wait.Go(func() {
				me := testNode(string(rune('a'+i)), 1)
				tables := newTables(f, me.Inc, nil)
				for tables.refresh(t.Context()) != nil {
				}
				if _, err := tables.change(t.Context(), func(next *table) error { return next.join(me) }); err != nil {
					t.Error(err)
				}
				for range changes {
					made, err := tables.change(t.Context(), func(next *table) error {
						next.inc(me.Inc).Seal++
						return nil
					})
					if err != nil || tables.newest().Version < made.Version {
						t.Errorf("got %v", err)
					}
				}
			})
		}
		wait.Wait()
		time.Sleep(10 * time.Second) // virtual; late writes arrive
		f.mu.Lock()
		defer f.mu.Unlock()
		last, err := parseTable(f.values[len(f.values)-1])
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range last.Nodes {
			if n.Seal != changes {
				t.Errorf("node %s has counted to %d: want %d", n.Name, n.Seal, changes)
			}
		}
		if last.Version != nodes*(changes+1) {
			t.Errorf("the table has version %d, want %d", last.Version, nodes*(changes+1))
		}
	})
}

func TestTablesRefuseWhatTheyCannotRead(t *testing.T) {
	f := &fakeRegister{chance: newChance(1), values: [][]byte{[]byte(`{"format":2}`)}}
	tables := newTables(f, "a", nil)
	if err := tables.refresh(t.Context()); err == nil {
		t.Error("a table of format 2 was read")
	}
	f.values = append(f.values, newTable().encode())
	if err := tables.hear(f.values[1], 2); err != nil {
		t.Fatal(err)
	}
	if err := tables.hear(f.values[0], 1); err != nil {
		t.Errorf("an older table that arrives late: %v", err)
	}
	if _, err := tables.change(t.Context(), func(next *table) error { next.Next++; return nil }); err == nil {
		t.Error("a node that is not in the table has changed it")
	}
}

// TestATableThatIsNotFoundIsGivenUp asks for a revision that no replica has.
func TestATableThatIsNotFoundIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRegister{chance: newChance(1), values: [][]byte{newTable().encode()}}
		tables := newTables(f, "a", nil)
		if !tables.announced(2) {
			t.Error("revision 2 is not newer than none")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := tables.catchUp(ctx); err == nil || time.Since(began) > 2*tryFor {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if tables.newest() == nil {
			t.Error("what was found is not known")
		}
	})
}
