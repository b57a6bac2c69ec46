package jetstream

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/pages"
)

var seedFlag = flag.Uint64("jetstream.seed", 0, "seed of the random tests; 0: another one each time")

// board is an actor with a table, and what the table must have.
type board struct {
	t     *testing.T
	s     *Store // that owns it
	rev   uint64
	items map[string]string
}

const boardID = "board"

func (b *board) turn() *store.Commit {
	b.rev++
	c := &store.Commit{Actor: boardID, Name: "board", Log: "log", Rev: b.rev, Time: time.UnixMilli(int64(b.rev)), NextConn: 1}
	c.Tables = []store.Table{{ID: 1, Field: "posts"}}
	if b.rev == 1 {
		c.State = []byte(`{}`)
	}
	return c
}

func (b *board) commit(c *store.Commit) {
	b.t.Helper()
	if errs := b.s.Commit(b.t.Context(), []*store.Commit{c}); errs != nil {
		b.t.Fatal(errs)
	}
	for _, e := range c.Items {
		if e.Value == nil {
			delete(b.items, string(e.Key))
		} else {
			b.items[string(e.Key)] = string(e.Value)
		}
	}
}

// set commits items of about size bytes.
func (b *board) set(size int, keys ...int) {
	b.t.Helper()
	c := b.turn()
	for _, k := range keys {
		value := fmt.Sprintf(`"%d %s"`, b.rev, strings.Repeat("v", size))
		c.Items = append(c.Items, store.ItemEdit{Table: 1, Key: fmt.Appendf(nil, "%06d", k), Value: []byte(value)})
	}
	b.commit(c)
}

func (b *board) delete(keys ...int) {
	b.t.Helper()
	c := b.turn()
	for _, k := range keys {
		c.Items = append(c.Items, store.ItemEdit{Table: 1, Key: fmt.Appendf(nil, "%06d", k)})
	}
	b.commit(c)
}

func (b *board) save() {
	b.t.Helper()
	if err := b.s.keeper.saveDirty(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// damage writes pages that do not have their checksums.
func (b *board) damage() {
	b.t.Helper()
	p := actorPages{b.s.heads, boardID, true}
	names, err := p.List(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, n := range names {
		if err := p.store(b.t.Context(), p.page(boardID, n, 0), []byte("\x01 damaged")); err != nil {
			b.t.Fatal(err)
		}
	}
}

// check compares all items, forward and backward.
func (b *board) check() {
	b.t.Helper()
	for _, backward := range []bool{false, true} {
		page, err := b.s.Items(b.t.Context(), boardID, store.ItemRange{Table: 1, Limit: 1 << 20, MaxBytes: 1 << 30, Backward: backward})
		if err != nil {
			b.t.Fatal(err)
		}
		keys := slices.Sorted(maps.Keys(b.items))
		if backward {
			slices.Reverse(keys)
		}
		if page.Rev != b.rev || page.More || len(page.Items) != len(keys) {
			b.t.Fatalf("got revision %d, %d items, more: %t; want revision %d, %d items", page.Rev, len(page.Items), page.More, b.rev, len(keys))
		}
		for i, item := range page.Items {
			if string(item.Key) != keys[i] || string(item.Value) != b.items[keys[i]] {
				b.t.Fatalf("item %d of %d is %.40s: %.40s, want %.40s: %.40s", i, len(keys), item.Key, item.Value, keys[i], b.items[keys[i]])
			}
		}
	}
}

// checkPages checks that the stream has the pages of the actor's trees and no others.
func (b *board) checkPages() int {
	b.t.Helper()
	p := actorPages{b.s.heads, boardID, true}
	stored, err := p.List(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	b.s.catalog.mu.Lock()
	roots := b.s.index.ByID[boardID].Message.Roots
	b.s.catalog.mu.Unlock()
	n := 0
	for _, root := range roots {
		err := pages.Names(b.t.Context(), p, root, func(name pages.Name) bool {
			n++
			if !slices.Contains(stored, name) {
				b.t.Errorf("page %v is not stored", name)
			}
			return true
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	if n != len(stored) {
		b.t.Errorf("%d pages are stored, the trees have %d", len(stored), n)
	}
	return len(stored)
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func newBoard(t *testing.T, o Options) (*board, place) {
	o.tick = time.Hour
	p := oneServer(t).newPlace(o)
	t.Cleanup(func() { p.remove(t) })
	return &board{t: t, s: p.takeOver(t), items: map[string]string{}}, p
}

// A table that is larger than any message is kept in pages, across restarts.
func TestTables_large(t *testing.T) {
	b, p := newBoard(t, quiet)
	b.set(8<<10, upTo(400)...) // 3 MB, which is two levels
	b.check()
	b.save()
	b.check()
	if n := b.checkPages(); n < 100 {
		t.Errorf("%d pages, want more", n)
	}
	b.delete(7, 200, 399)
	b.set(100, 5, 1000)
	b.check()
	b.s.crash()
	b.s = p.takeOver(t)
	b.check()
	b.save()
	b.check()
	b.checkPages()
	b.delete(upTo(401)...)
	b.delete(1000)
	b.save()
	b.check()
	if n := b.checkPages(); n != 0 {
		t.Errorf("%d pages of an empty table", n)
	}
}

// A page that is longer than a message is stored in several.
func TestTables_longPages(t *testing.T) {
	o := quiet
	o.longest = 5000
	b, p := newBoard(t, o)
	b.set(4000, upTo(20)...)
	b.set(60<<10, 21)
	b.save()
	b.check()
	b.checkPages()
	stream, err := b.s.js.Stream(t.Context(), b.s.names.items)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n < 30 {
		t.Errorf("150 KB of pages are %d messages of 5000 bytes", n)
	}
	b.s.crash()
	b.s = p.takeOver(t)
	b.check()
	b.set(10, 21, 3)
	b.save()
	b.check()
	b.checkPages()
}

// The pages of a destroyed actor and of a dropped table go.
func TestTables_destroyAndDrop(t *testing.T) {
	b, p := newBoard(t, quiet)
	c := b.turn()
	c.Tables = append(c.Tables, store.Table{ID: 2, Field: "drafts"})
	for i := range 100 {
		c.Items = append(c.Items, store.ItemEdit{Table: 2, Key: fmt.Append(nil, i), Value: []byte(`"` + strings.Repeat("d", 5000) + `"`)})
	}
	if errs := b.s.Commit(t.Context(), []*store.Commit{c}); errs != nil {
		t.Fatal(errs)
	}
	b.set(1000, upTo(200)...)
	b.save()
	before := b.checkPages()
	c = b.turn()
	c.Tables = []store.Table{{ID: 2}}
	b.commit(c)
	if page, err := b.s.Items(t.Context(), boardID, store.ItemRange{Table: 2, Limit: 10, MaxBytes: 1 << 20}); err != nil || len(page.Items) > 0 {
		t.Errorf("a dropped table has %d items, error %v", len(page.Items), err)
	}
	b.save()
	if after := b.checkPages(); after >= before || after == 0 {
		t.Errorf("%d pages after a table was dropped, %d before", after, before)
	}
	b.check()

	c = b.turn()
	c.Tables, c.End = nil, store.Destroyed
	b.commit(c)
	b.items = map[string]string{}
	b.check()
	c = b.turn()
	c.State = []byte(`{}`)
	b.commit(c)
	b.set(100, 3)
	b.check()
	b.save()
	if n := b.checkPages(); n != 1 {
		t.Errorf("%d pages of a new life with one item", n)
	}
	b.check()
	b.s.crash()
	b.s = p.takeOver(t)
	b.check()
	c = b.turn()
	c.Tables, c.End = nil, store.Destroyed
	b.commit(c)
	b.save()
	if n := b.checkPages(); n != 0 {
		t.Errorf("%d pages of a destroyed actor", n)
	}
}

// A page that does not have its checksum blocks its actor, and is not overwritten.
func TestTables_damagedPage(t *testing.T) {
	b, _ := newBoard(t, quiet)
	b.set(8<<10, upTo(20)...)
	b.save()
	b.set(10, 0)
	b.damage()
	_, err := b.s.Items(t.Context(), boardID, store.ItemRange{Table: 1, Limit: 10, MaxBytes: 1 << 20})
	if !errors.Is(err, pages.ErrDamaged) {
		t.Errorf("Items: got %v, want %v", err, pages.ErrDamaged)
	}
	b.save()
	b.s.catalog.mu.Lock()
	defer b.s.catalog.mu.Unlock()
	if r := b.s.index.ByID[boardID]; r.Saved == r.Rev || r.Blocked == 0 {
		t.Errorf("saved at revision %d of %d, blocked: %d", r.Saved, r.Rev, r.Blocked)
	}
}

// stopper stops a fold at one of its operations: it fails there, or waits until another
// store has taken over.
type stopper struct {
	mu     sync.Mutex
	at     string // the kind of operation; empty: any
	left   int    // operations until it stops; below 0: it does not
	kill   bool
	paused chan struct{}
	resume chan struct{}
	dead   atomic.Bool
}

var errKilled = errors.New("killed")

func (s *stopper) before(op string) error {
	s.mu.Lock()
	counts := s.at == "" || s.at == op
	stop := counts && s.left == 0
	if counts {
		s.left--
	}
	s.mu.Unlock()
	if s.dead.Load() || stop && s.kill {
		s.dead.Store(true)
		return errKilled
	}
	if stop {
		close(s.paused)
		<-s.resume
	}
	return nil
}

func (s *stopper) arm(left int, kill bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.kill = left, kill
	s.paused, s.resume = make(chan struct{}), make(chan struct{})
}

// TestG10_FoldsOfDeposedOwners has owners that are killed in the middle of a fold, and that
// go on with it when others have taken over: the newest owner finds all items, and after
// its next fold there are no other pages than those of its trees.
func TestG10_FoldsOfDeposedOwners(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat: -jetstream.seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	rounds := 60
	if testing.Short() {
		rounds = 12
	}
	type owner struct {
		*Store
		stop *stopper
	}
	o := quiet
	o.Timeout = 2 * time.Second
	stop := &stopper{left: -1}
	o.before = stop.before
	b, p := newBoard(t, o)
	now := owner{b.s, stop}
	take := func() {
		p.before = nil
		now.stop = &stopper{left: -1}
		p.before = now.stop.before
		now.Store = p.takeOver(t)
		b.s = now.Store
		if r.IntN(2) == 0 {
			b.check() // which reads the head
		}
	}
	change := func() {
		for range 1 + r.IntN(3) {
			keys := make([]int, 1+r.IntN(6))
			for i := range keys {
				keys[i] = r.IntN(400)
			}
			if r.IntN(3) == 0 {
				b.delete(keys...)
			} else {
				b.set(r.IntN(12<<10), keys...)
			}
		}
	}
	b.set(8<<10, upTo(400)...)
	b.save()
	clean := true // no deposed owner has written pages since this one has looked for such
	for range rounds {
		change()
		b.check()
		switch old := now; r.IntN(4) {
		case 0:
			b.save()
		case 1: // killed
			old.stop.arm(r.IntN(30), true)
			_ = old.keeper.saveDirty(t.Context())
			old.crash()
			take()
			clean = true
		default: // goes on later
			old.stop.arm(r.IntN(30), false)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = old.keeper.saveDirty(t.Context())
			}()
			select {
			case <-old.stop.paused:
			case <-done: // it had not that many operations
			}
			take()
			if clean = r.IntN(2) == 0; !clean {
				change()
				b.save()
			}
			close(old.stop.resume)
			<-done
			old.crash()
		}
		b.check()
		if r.IntN(3) == 0 {
			change()
			b.save()
			b.check()
			if clean {
				b.checkPages()
			}
		}
	}
}

// A deposed owner whose head is still stored deletes nothing: the new owner has read the
// head before, and its root names the pages that are replaced.
func TestG10_DeposedOwnerDeletesNoPages(t *testing.T) {
	stop := &stopper{at: "head", left: -1}
	o := quiet
	o.before, o.Timeout = stop.before, 2*time.Second
	b, p := newBoard(t, o)
	b.set(8<<10, upTo(50)...)
	b.save()
	b.set(100, upTo(50)...) // so little that the keeper does not save it at once
	stop.arm(0, false)
	old, done := b.s, make(chan error)
	go func() { done <- old.keeper.saveDirty(t.Context()) }()
	<-stop.paused
	p.before = nil
	b.s = p.takeOver(t)
	b.check()
	close(stop.resume)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !old.Deposed() {
		t.Error("the old owner does not know that it is deposed")
	}
	b.check()
	b.save()
	b.check()
	b.checkPages()
}

// TestItems_ReplacedPages reads pages while they are replaced.
func TestItems_ReplacedPages(t *testing.T) {
	b, _ := newBoard(t, quiet)
	b.set(8<<10, upTo(100)...)
	b.save()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			b.set(8<<10, (i*37)%100, (i*11)%100)
			b.save()
		}
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		page, err := b.s.Items(t.Context(), boardID, store.ItemRange{Table: 1, Limit: 1000, MaxBytes: 1 << 30})
		if err != nil || len(page.Items) != 100 {
			t.Fatalf("got %d items, error %v", len(page.Items), err)
		}
		for i, item := range page.Items {
			if want := fmt.Appendf(nil, "%06d", i); !bytes.Equal(item.Key, want) {
				t.Fatalf("item %d has key %s", i, item.Key)
			}
		}
	}
	b.check()
	b.checkPages()
}
