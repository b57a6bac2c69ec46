package jetstream

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/rope"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// catalog is what a Store has in memory of the actors that it owns.
type catalog struct {
	mu      sync.Mutex
	index   journal.Index
	last    int64 // the newest number of a resident
	absent  int   // residents that were never committed
	owned   [store.Partitions]bool
	starts  map[int64]uint64            // the first pieces of the own messages that are in pieces
	foreign map[int64]*foreignJournal   // the rows of other journals
	sealed  []*foreignJournal           // those of them that this store removes
	adopted map[string]*foreignJournal  // by name
	scanned map[int64][]byte            // messages of other journals, until their actors are saved
	recalls [store.Partitions]*recall   // nil: there is nothing more to read of its actors' logs
	remain  [store.Partitions]time.Time // until when journals of earlier owners may have something of its actors
	wakes   map[string]wake             // as stored, of the owned partitions
	dues    dues
	swept   map[string]bool // actors whose pages without a root were looked for, since they were taken over

	barrierSeq uint64 // see heads.read
	unclean    bool   // see Store.Unclean
}

// maxAbsent is how many actors that do not exist are remembered as such.
const maxAbsent = 10_000

func newCatalog() *catalog {
	c := &catalog{index: journal.NewIndex(), starts: map[int64]uint64{}, foreign: map[int64]*foreignJournal{}, adopted: map[string]*foreignJournal{}, scanned: map[int64][]byte{}, wakes: map[string]wake{}, swept: map[string]bool{}}
	c.dues = newDues()
	return c
}

// wake is what the owner of a sleeping actor has to know of it. It is written with the
// actor's head if it has changed, or if a commit since the last head has set Due: then Rev
// tells whether what a journal says of Due is newer.
type wake struct {
	Rev       uint64 `json:"r,omitempty"` // when it was written
	Due       int64  `json:"d,omitempty"` // Unix milliseconds
	Conns     int    `json:"c,omitempty"`
	Parked    int    `json:"p,omitempty"` // messages
	Tombstone bool   `json:"x,omitempty"`
	Forgotten bool   `json:"f,omitempty"` // the tombstone can go
}

func wakeOf(r *record.Record) wake {
	return wake{r.Rev, r.Due, len(r.Conns), r.Parked(), r.Tombstone, r.Forgotten}
}

// equals reports whether two wakes say the same.
func (w wake) equals(v wake) bool {
	w.Rev, v.Rev = 0, 0
	return w == v
}

// isEmpty reports whether there is nothing to know.
func (w wake) isEmpty() bool { return w.equals(wake{}) }

// mayRemain reports whether journals of earlier owners may have something of a partition's actors that
// the index does not have: it is not read yet, or was trimmed from the index only. Hold mu.
func (c *catalog) mayRemain(part int, now time.Time) bool {
	return c.recalls[part] != nil || len(c.sealed) > 0 || now.Before(c.remain[part])
}

// resident returns the resident of an actor, and makes one if there is none. Hold mu.
func (c *catalog) resident(actor string) *journal.Resident {
	r := c.index.ByID[actor]
	if r == nil {
		c.last++
		r = &journal.Resident{Num: c.last, ID: actor, Due: -1}
		c.index.ByNum[r.Num], c.index.ByID[actor] = r, r
	}
	return r
}

// keep completes the resident of an actor with what was loaded. Hold mu.
func (c *catalog) keep(loaded *journal.Resident, now time.Time) *journal.Resident {
	if r := c.index.ByID[loaded.ID]; r != nil {
		loaded.Num = r.Num
	} else {
		c.last++
		loaded.Num = c.last
	}
	r := c.index.Keep(loaded, now)
	if r.Record == loaded.Record {
		r.Head = loaded.Record.Head
		r.Message = loaded.Message
		if r.Rev > 0 {
			c.dues.set(r.ID, r.Record.Due)
		} else {
			c.absent++
		}
	}
	return r
}

// forget drops a resident that is saved from memory. Hold mu.
func (c *catalog) forget(r *journal.Resident) {
	if r.Record != nil && r.Rev == 0 {
		c.absent--
	}
	c.index.Forget(r)
}

// setWake notes what is stored of an actor. Hold mu.
func (c *catalog) setWake(actor string, w wake) {
	if w.isEmpty() {
		delete(c.wakes, actor)
	} else {
		c.wakes[actor] = w
	}
}

// dues are the times at which actors are due, in the order of store.Wake.
type dues struct {
	at    map[string]int64 // Unix milliseconds
	order *rope.Rope[dueAt]
}

type dueAt struct {
	at    int64
	actor string
}

func (d dueAt) compare(e dueAt) int {
	return cmp.Or(cmp.Compare(d.at, e.at), strings.Compare(d.actor, e.actor))
}

func newDues() dues {
	const part = 256
	return dues{map[string]int64{}, rope.New[dueAt](part, nil)}
}

func (d *dues) search(e dueAt) (int, bool) {
	return d.order.Search(func(x *dueAt) int { return x.compare(e) })
}

// set sets when an actor is due; 0: never.
func (d *dues) set(actor string, at int64) {
	old := d.at[actor]
	if old == at {
		return
	}
	if old != 0 {
		if i, found := d.search(dueAt{old, actor}); found {
			d.order.Replace(i, 1)
		}
		delete(d.at, actor)
	}
	if at != 0 {
		i, _ := d.search(dueAt{at, actor})
		d.order.Replace(i, 0, dueAt{at, actor})
		d.at[actor] = at
	}
}

// after returns at most limit actors that are due after e and before a time.
func (d *dues) after(e dueAt, before int64, limit int) []dueAt {
	i, found := d.search(e)
	if found {
		i++
	}
	var all []dueAt
	for _, x := range d.order.From(i) {
		if len(all) == limit || x.at >= before {
			break
		}
		all = append(all, *x)
	}
	return slices.Clip(all)
}
