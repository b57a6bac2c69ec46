package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
)

// TestG10_DeposedOwnersFoldLate runs owners of an actor that take over from each other in
// the middle of everything: between leaf, directory and head, between the head and the
// deletes. A deposed owner goes on until it is told, or is killed. The newest owner must
// always find all items.
func TestG10_DeposedOwnersFoldLate(t *testing.T) {
	withLimits(t, limits{pageBytes: 60, refs: 3, rootRefs: 2, rootBytes: 100})
	first, runs := random(t).Uint64(), uint64(20_000)
	if testing.Short() {
		runs = 500
	}
	heads, late := 0, 0
	for seed := first; seed < first+runs; seed++ {
		w := simulate(seed, "")
		heads, late = heads+w.heads, late+w.late
		for _, fault := range w.faults {
			t.Errorf("seed %d: %s", seed, fault)
		}
		if t.Failed() {
			return
		}
	}
	if t.Logf("%d heads, of which deposed owners wrote %d", heads, late); late == 0 {
		t.Error("no deposed owner has written a head: the simulation has no use")
	}
}

// TestG10_FencesOfFolds removes one fence after the other: the simulation must find it.
func TestG10_FencesOfFolds(t *testing.T) {
	withLimits(t, limits{pageBytes: 60, refs: 3, rootRefs: 2, rootBytes: 100})
	for _, mutation := range []string{"names without slot", "delete without prove", "replace a head of lower revision without prove"} {
		t.Run(mutation, func(t *testing.T) {
			for seed := range uint64(5000) {
				if w := simulate(seed, mutation); len(w.faults) > 0 {
					t.Logf("seed %d: %s", seed, w.faults[0])
					return
				}
			}
			t.Error("nothing has failed")
		})
	}
}

// world is an actor with one table: its journal, its head and its pages.
type world struct {
	*rand.Rand
	mutation string
	edits    []store.Item    // the journal: an edit at revision i+1
	sealed   map[uint64]bool // the slots of deposed owners
	owner    uint64
	pages    map[Name][]byte
	head     head
	heads    int
	late     int // heads of deposed owners
	faults   []string
}

type head struct {
	seq, rev uint64
	root     []byte
}

func simulate(seed uint64, mutation string) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 5)), mutation: mutation, sealed: map[uint64]bool{}, pages: map[Name][]byte{}}
	w.head.root = []byte("{}")
	type process struct {
		step func() (struct{}, bool)
		kill func()
	}
	var owners []process
	defer func() {
		for _, o := range owners {
			o.kill()
		}
	}()
	for slot := uint64(1); len(w.faults) == 0 && slot < 12; {
		if len(owners) == 0 || w.IntN(40) == 0 {
			var p process
			o := &ownerProcess{world: w, slot: slot}
			p.step, p.kill = iter.Pull(o.run)
			owners = append(owners, p)
			slot++
		}
		i := len(owners) - 1
		if w.IntN(2) == 0 {
			i = w.IntN(len(owners))
		}
		_, running := owners[i].step()
		if !running || w.IntN(300) == 0 {
			owners[i].kill()
			owners = slices.Delete(owners, i, i+1)
		}
	}
	if len(w.faults) == 0 {
		o := &ownerProcess{world: w, slot: 99, yield: func(struct{}) bool { return true }}
		w.sealed[w.owner], w.owner = true, 99
		o.adopt()
		o.read()
	}
	return w
}

func (w *world) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// ownerProcess is a process that owns the actor, or believes so.
type ownerProcess struct {
	*world
	slot   uint64
	yield  func(struct{}) bool
	memory *memory
	head   head // that it has read or written
	root   Root
	n      uint64
	listed bool // it has looked for orphans
}

// run takes the actor over and uses it, with a yield wherever other processes may run.
func (o *ownerProcess) run(yield func(struct{}) bool) {
	o.yield = yield
	o.sealed[o.owner] = true
	o.owner = o.slot
	if o.step("") != nil {
		return
	}
	o.adopt()
	for {
		var err error
		switch o.IntN(6) {
		case 0, 1, 2:
			if o.prove() == nil {
				e := store.Item{Key: fmt.Append(nil, o.IntN(40))}
				if o.IntN(4) > 0 {
					e.Value = fmt.Append(nil, len(o.edits))
				}
				o.edits = append(o.edits, e)
			}
		case 3:
			if o.prove() == nil {
				o.read()
			}
		default:
			err = o.fold()
		}
		if err != nil && !errors.Is(err, errKilled) && o.prove() == nil {
			o.fault("an owner that is not deposed: %v", err)
		}
		if err != nil || o.step("") != nil {
			return
		}
	}
}

func (o *ownerProcess) step(string) error {
	if !o.yield(struct{}{}) {
		return errKilled
	}
	return nil
}

func (o *ownerProcess) adopt() {
	o.memory = &memory{pages: o.pages, step: o.step}
	o.head = o.world.head
	if err := json.Unmarshal(o.head.root, &o.root); err != nil {
		o.fault("root: %v", err)
	}
}

// prove fails if the owner's journal is sealed.
func (o *ownerProcess) prove() error {
	if o.sealed[o.slot] {
		return errors.New("deposed")
	}
	return nil
}

// read compares all items with the journal.
func (o *ownerProcess) read() {
	want := model{}
	want.apply(o.edits)
	got := model{}
	err := Range(context.Background(), o.memory, o.root, store.ItemRange{}, func(i store.Item) bool {
		got[string(i.Key)] = i
		return true
	})
	if errors.Is(err, errKilled) || o.prove() != nil {
		return
	}
	got.apply(o.edits[o.head.rev:])
	if all := (store.ItemRange{}); err != nil || !sameItems(got.items(all), want.items(all)) {
		o.fault("read items: %v", err)
	}
}

// fold folds the journal, in the order that the package's documentation has.
func (o *ownerProcess) fold() error {
	rev := uint64(len(o.edits))
	if o.prove() != nil { // it does not know all of it
		rev = min(rev, o.head.rev+uint64(o.IntN(3)))
	}
	var edits overlay.Items
	for i, e := range o.edits[o.head.rev:rev] {
		edits.Set(1, overlay.Item{Item: e, Rev: o.head.rev + uint64(i) + 1})
	}
	var ordered []store.Item
	edits.Range(store.ItemRange{Table: 1}, func(i overlay.Item) bool {
		ordered = append(ordered, i.Item)
		return true
	})
	i := uint64(0)
	folded, err := Fold(context.Background(), o.memory, o.root, ordered, func() Name {
		if o.mutation == "names without slot" {
			i++
			return Name{0, rev*100 + i}
		}
		o.n++
		return Name{o.slot, o.n}
	})
	if err != nil {
		return err
	}
	if err := o.writeHead(rev, folded.Root); err != nil {
		return err
	}
	gone := folded.Replaced
	if !o.listed {
		if gone, err = Orphans(context.Background(), o.memory, []Root{o.root}); err != nil {
			return err
		}
		o.listed = true
	}
	if err := o.step(""); err != nil {
		return err
	}
	if o.mutation != "delete without prove" {
		if err := o.prove(); err != nil {
			return err
		}
	}
	return o.memory.Delete(context.Background(), gone)
}

// writeHead replaces the head that the owner knows.
func (o *ownerProcess) writeHead(rev uint64, root Root) error {
	b, err := json.Marshal(root)
	if err != nil {
		return err
	}
	for o.world.head.seq != o.head.seq { // a deposed owner was late
		found := o.world.head
		if err := o.step(""); err != nil {
			return err
		}
		if o.mutation != "replace a head of lower revision without prove" {
			if err := o.prove(); err != nil {
				return err
			}
		} else if found.rev > rev {
			return errors.New("deposed by a newer head")
		}
		o.head.seq = found.seq
		o.listed = false // the pages of that head are orphans
	}
	o.heads++
	if o.prove() != nil {
		o.late++
	}
	o.world.head = head{o.world.head.seq + 1, rev, b}
	o.head, o.root = o.world.head, root
	return o.step("")
}
