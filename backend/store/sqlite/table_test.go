//go:build unix

package sqlite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// Depot has two tables.
type Depot struct {
	Turns int                         `json:"turns"`
	Boxes actor.Table[uint64, string] `json:"boxes"`
	Where actor.Table[string, uint64] `json:"where"`
}

// DepotEdit is a change of a depot.
type DepotEdit struct {
	Kind string
	Key  uint64
	Text string
}

// Change makes changes, and fails if asked to.
func (d *Depot) Change(_ *actor.Context[actor.NoState], edits []DepotEdit, fail bool) error {
	d.Turns++
	for _, e := range edits {
		switch e.Kind {
		case "append":
			d.Where.Set(e.Text, d.Boxes.Append(e.Text))
		case "set":
			d.Boxes.Set(e.Key, e.Text)
		case "delete":
			d.Boxes.Delete(e.Key)
		case "clear":
			keys := []uint64{}
			for k := range d.Boxes.Range(0, e.Key) {
				keys = append(keys, k)
			}
			for _, k := range keys {
				d.Boxes.Delete(k)
			}
		case "lose":
			d.Where.Delete(e.Text)
		}
	}
	if fail {
		return actor.Errorf("failed", "as asked")
	}
	return nil
}

// Dump returns everything, short: a result has at most 1 MiB.
func (d Depot) Dump(*actor.Context[actor.NoState]) string {
	var b strings.Builder
	fmt.Fprintln(&b, d.Turns, d.Boxes.Len(), d.Where.Len())
	for k, v := range d.Boxes.All() {
		fmt.Fprintln(&b, k, short(v))
	}
	for k, v := range d.Where.All() {
		fmt.Fprintln(&b, short(k), v)
	}
	return b.String()
}

// short returns a text of randomText in a few bytes.
func short(text string) string {
	return fmt.Sprint(strings.TrimRight(text, "x"), " ", len(text))
}

func randomText(r *rand.Rand) string {
	return fmt.Sprint("box ", r.IntN(200), strings.Repeat("x", 100*r.IntN(10)))
}

// depotModel is what a depot has.
type depotModel struct {
	turns int
	boxes map[uint64]string
	where map[string]uint64
	next  uint64
}

func (m *depotModel) change(edits []DepotEdit) {
	m.turns++
	for _, e := range edits {
		switch e.Kind {
		case "append":
			m.boxes[m.next], m.where[e.Text] = e.Text, m.next
			m.next++
		case "set":
			m.boxes[e.Key], m.next = e.Text, max(m.next, e.Key+1)
		case "delete":
			delete(m.boxes, e.Key)
		case "clear":
			maps.DeleteFunc(m.boxes, func(k uint64, _ string) bool { return k < e.Key })
		case "lose":
			delete(m.where, e.Text)
		}
	}
}

func (m *depotModel) dump() string {
	var b strings.Builder
	fmt.Fprintln(&b, m.turns, len(m.boxes), len(m.where))
	for _, k := range slices.Sorted(maps.Keys(m.boxes)) {
		fmt.Fprintln(&b, k, short(m.boxes[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(m.where)) {
		fmt.Fprintln(&b, short(k), m.where[k])
	}
	return b.String()
}

// G6 and G7 for tables: after kills and losses of power, also between the journal and the rows,
// an actor's tables have what its durable turns have done, all of it and nothing else.
func TestG6_TablesAfterKillsAndPowerLoss(t *testing.T) {
	seed := *powerSeed
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat its choices: -sqlite.seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 7))
	registry := actor.NewRegistry(actor.Define[Depot]("depot"))
	ref := host.Ref{Name: "depot", Key: host.Key{"d"}}
	d := newDisk(t)
	// A small journal and ticks all the time: items move into rows all the while.
	o := quiet.WithVFS(d.name)
	o.MaxBytes = 100 << 10
	s := open(t, t.TempDir(), o)
	node := runtime.New(registry, s, runtime.Options{TableCacheBytes: 20_000})
	call := func(node *runtime.Node, action string, args ...any) (result string, err error) {
		t.Helper()
		raw := []json.RawMessage{}
		for _, a := range args {
			arg, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			raw = append(raw, arg)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got, err := node.CallOnce(ctx, ref, host.DirectCall{Create: true, Action: action, Args: raw})
		if err == nil && len(got) > 0 {
			err = json.Unmarshal(got, &result)
		}
		return result, err
	}
	model := &depotModel{boxes: map[uint64]string{}, where: map[string]uint64{}, next: 1}
	for loss := range *lossesFlag {
		for range 20 + r.IntN(60) {
			edits := []DepotEdit{}
			for range r.IntN(12) {
				kinds := []string{"append", "append", "set", "delete", "lose"}
				edits = append(edits, DepotEdit{kinds[r.IntN(len(kinds))], r.Uint64N(model.next), randomText(r)})
			}
			if len(model.boxes) > 300 && r.IntN(20) == 0 {
				edits = append(edits, DepotEdit{Kind: "clear", Key: model.next})
			}
			fail := r.IntN(5) == 0
			_, err := call(node, "change", edits, fail)
			if fail != (err != nil) {
				t.Fatalf("a change that fails (%t): got %v", fail, err)
			}
			if !fail {
				model.change(edits)
			}
		}
		dir := d.powerLoss(t, r)
		after := open(t, dir, quiet)
		recovered := runtime.New(registry, after, runtime.Options{})
		for name, n := range map[string]*runtime.Node{"after the loss": recovered, "where nothing was lost": node} {
			if got, err := call(n, "dump"); err != nil || got != model.dump() {
				t.Errorf("loss %d, %s: got\n%s\n%v, want\n%s", loss, name, got, err, model.dump())
			}
		}
		if err := recovered.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		closeStore(t, after)
		if t.Failed() {
			break
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := node.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	closeStore(t, s)
}
