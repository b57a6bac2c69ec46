package runtime_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

var tableSeed = flag.Uint64("runtime.table.seed", 0, "seed of the random operations on tables; 0: another one each time")

// archive has tables among other fields.
type archive struct {
	Turns int                           `json:"turns"`
	Pages actor.Table[uint64, string]   `json:"pages"`
	List  actor.List[int]               `json:"list"`
	Names actor.Table[string, []string] `json:"names"`
}

type archiveContext = actor.Context[actor.NoState]

// archiveTester is what an archive does in a turn, by the connection that ends in it.
type archiveTester struct {
	steps []tableStep
	fail  string
	reads []string // what the steps have read
}

// tableStep is an operation on a table.
type tableStep struct {
	Kind    string
	Key, To uint64
	Text    string
	N       int
}

var (
	archives   = actor.NewRegistry(actor.Define[archive]("archive"))
	archiveRef = host.Ref{Name: "archive", Key: host.Key{"a"}}
	inTurn     archiveTester // of the next turn
	inHook     archiveTester // of the OnDisconnect that it causes
)

// Do makes the steps of inTurn, and ends a connection if there is one.
func (a *archive) Do(c *archiveContext) error {
	a.Turns++
	for conn := range c.Conns() {
		conn.Disconnect("over")
	}
	return a.do(&inTurn)
}

// Look makes the steps of inTurn that read.
func (a archive) Look(*archiveContext) error { return a.do(&inTurn) }

func (a *archive) OnConnect(*archiveContext) {}

func (a *archive) OnDisconnect(*archiveContext) error { return a.do(&inHook) }

func (a *archive) do(t *archiveTester) error {
	for _, s := range t.steps {
		t.reads = append(t.reads, a.step(s))
	}
	switch t.fail {
	case "error":
		return actor.Errorf("failed", "as asked")
	case "panic":
		panic("as asked")
	case "range":
		for k := range a.Pages.All() {
			a.Pages.Set(k, "changed")
		}
		if a.Pages.Len() == 0 {
			panic("nothing to range over")
		}
	case "key":
		a.Pages.Append("x")
		a.Names.Set(strings.Repeat("x", actor.MaxItemKeyBytes+1), nil)
	case "value":
		a.Pages.Append(strings.Repeat("x", actor.MaxItemBytes))
	case "assigned":
		a.Pages.Append("x")
		a.Pages = actor.Table[uint64, string]{}
	}
	return nil
}

func (a *archive) step(s tableStep) string {
	name := fmt.Sprint("name", s.Key)
	switch s.Kind {
	case "append":
		return fmt.Sprint(a.Pages.Append(s.Text))
	case "set":
		a.Pages.Set(s.Key, s.Text)
	case "delete":
		a.Pages.Delete(s.Key)
	case "setName":
		a.Names.Set(name, []string{s.Text})
	case "deleteName":
		a.Names.Delete(name)
	case "list":
		a.List.Append(int(s.Key))
	case "get":
		v, ok := a.Pages.Get(s.Key)
		return fmt.Sprint(v, ok)
	case "getName":
		v, ok := a.Names.Get(name)
		return fmt.Sprint(v, ok)
	case "len":
		return fmt.Sprint(a.Pages.Len(), a.Names.Len())
	case "ends":
		f, fv, ok := a.Pages.First()
		l, lv, _ := a.Pages.Last()
		return fmt.Sprint(f, fv, l, lv, ok)
	case "range":
		return some(s.N, a.Pages.Range(s.Key, s.To))
	case "from":
		return some(s.N, a.Pages.From(s.Key))
	case "backward":
		return some(s.N, a.Pages.Backward(s.To))
	case "names":
		return some(s.N, a.Names.All())
	case "before":
		return fmt.Sprint(a.Pages.Page(actor.Before(keyAt(s.To)), s.N))
	case "after":
		return fmt.Sprint(a.Pages.Page(actor.After(keyAt(s.To)), s.N))
	}
	return ""
}

// keyAt returns a position: 0 is an end.
func keyAt(key uint64) *uint64 {
	if key == 0 {
		return nil
	}
	return &key
}

// some returns the first n pairs.
func some[K, V any](n int, all func(func(K, V) bool)) string {
	var b strings.Builder
	for k, v := range all {
		if n--; n < 0 {
			break
		}
		fmt.Fprint(&b, k, "=", v, " ")
	}
	return b.String()
}

// archiveModel is what an archive has.
type archiveModel struct {
	turns, list int
	pages       map[uint64]string
	names       map[string][]string
	next        uint64
}

func newArchiveModel() *archiveModel {
	return &archiveModel{pages: map[uint64]string{}, names: map[string][]string{}, next: 1}
}

func (m *archiveModel) clone() *archiveModel {
	c := *m
	c.pages, c.names = maps.Clone(m.pages), maps.Clone(m.names)
	return &c
}

// pairs returns the pages with from <= key < to; to 0 is open.
func (m *archiveModel) pairs(from, to uint64, backward bool) func(func(uint64, string) bool) {
	keys := slices.Sorted(maps.Keys(m.pages))
	keys = slices.DeleteFunc(keys, func(k uint64) bool { return k < from || to > 0 && k >= to })
	if backward {
		slices.Reverse(keys)
	}
	return func(yield func(uint64, string) bool) {
		for _, k := range keys {
			if !yield(k, m.pages[k]) {
				return
			}
		}
	}
}

// page is archive.Pages.Page.
func (m *archiveModel) page(from, to uint64, backward bool, n int, behind bool) actor.Page[uint64, string] {
	p := actor.Page[uint64, string]{Items: []actor.PageItem[uint64, string]{}}
	more := false
	for k, v := range m.pairs(from, to, backward) {
		if len(p.Items) == n {
			more = true
			break
		}
		p.Items = append(p.Items, actor.PageItem[uint64, string]{Key: k, Value: v})
	}
	p.HasBefore, p.HasAfter = behind, more
	if backward {
		slices.Reverse(p.Items)
		p.HasBefore, p.HasAfter = more, behind
	}
	return p
}

func (m *archiveModel) step(s tableStep) string {
	name := fmt.Sprint("name", s.Key)
	set := func(key uint64) { m.pages[key], m.next = s.Text, max(m.next, key+1) }
	switch s.Kind {
	case "append":
		key := m.next
		set(key)
		return fmt.Sprint(key)
	case "set":
		set(s.Key)
	case "delete":
		delete(m.pages, s.Key)
	case "setName":
		m.names[name] = []string{s.Text}
	case "deleteName":
		delete(m.names, name)
	case "list":
		m.list++
	case "get":
		v, ok := m.pages[s.Key]
		return fmt.Sprint(v, ok)
	case "getName":
		v, ok := m.names[name]
		return fmt.Sprint(v, ok)
	case "len":
		return fmt.Sprint(len(m.pages), len(m.names))
	case "ends":
		keys := slices.Sorted(maps.Keys(m.pages))
		if len(keys) == 0 {
			return fmt.Sprint(0, "", 0, "", false)
		}
		return fmt.Sprint(keys[0], m.pages[keys[0]], keys[len(keys)-1], m.pages[keys[len(keys)-1]], true)
	case "range":
		if s.To == 0 {
			return ""
		}
		return some(s.N, m.pairs(s.Key, s.To, false))
	case "from":
		return some(s.N, m.pairs(s.Key, 0, false))
	case "backward":
		if s.To == 0 {
			return ""
		}
		return some(s.N, m.pairs(0, s.To, true))
	case "names":
		return some(s.N, func(yield func(string, []string) bool) {
			for _, k := range slices.Sorted(maps.Keys(m.names)) {
				if !yield(k, m.names[k]) {
					return
				}
			}
		})
	case "before":
		behind := some(1, m.pairs(s.To, 0, false)) != "" && s.To > 0
		return fmt.Sprint(m.page(0, s.To, true, s.N, behind))
	case "after":
		if s.To == 0 {
			return fmt.Sprint(m.page(0, 0, false, s.N, false))
		}
		behind := some(1, m.pairs(0, s.To+1, false)) != ""
		return fmt.Sprint(m.page(s.To+1, 0, false, s.N, behind))
	}
	return ""
}

var (
	tableReads   = []string{"get", "getName", "len", "ends", "range", "from", "backward", "names", "before", "after"}
	tableChanges = []string{"append", "append", "append", "set", "set", "delete", "delete", "setName", "deleteName", "list"}
)

func randomTableSteps(r *rand.Rand, n int, readOnly bool, text string) []tableStep {
	var steps []tableStep
	for i := range r.IntN(n) {
		kinds := tableReads
		if !readOnly && r.IntN(2) == 0 {
			kinds = tableChanges
		}
		s := tableStep{Kind: kinds[r.IntN(len(kinds))], Key: r.Uint64N(90), To: r.Uint64N(90), Text: fmt.Sprint(text, "-", i), N: r.IntN(30)}
		if r.IntN(20) == 0 {
			s.Text = strings.Repeat("l", 5000)
		}
		steps = append(steps, s)
	}
	return steps
}

// G7, and the order of a turn's reads and writes: whatever turns do to a table, also those that
// fail, whose hooks fail, that are not durable, or that are lost, reads agree with a map. The
// pages in memory are few, many, or those of an actor that has just been loaded.
func TestG7_TablesAgreeWithAMap(t *testing.T) {
	seed := *tableSeed
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat: -runtime.table.seed=%d", seed)
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			inBubble(t, func(t *testing.T) { changeArchive(t, rand.New(rand.NewPCG(seed, uint64(round))), 250) })
		})
		if t.Failed() {
			return
		}
	}
}

// changeArchive makes random turns on an archive, and compares it with a model.
func changeArchive(t *testing.T, r *rand.Rand, turns int) {
	held := storetest.Held(memory.New(memory.Options{}))
	held.ReleaseAll()
	cache := []int64{1, 3_000, 0}[r.IntN(3)]
	start := func() *runtime.Node {
		return runtime.New(archives, held, runtime.Options{Logger: slog.New(slog.DiscardHandler), Check: r.IntN(2) == 0, TableCacheBytes: cache})
	}
	node := start()
	defer func() {
		held.ReleaseAll()
		if err := node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	model := newArchiveModel()
	durable := model // what stays if all that waits for the store is lost
	conns := 0
	for turn := range turns {
		action := "do"
		if r.IntN(4) == 0 {
			action = "look"
		}
		inTurn = archiveTester{steps: randomTableSteps(r, 12, action == "look", fmt.Sprint(turn))}
		inHook = archiveTester{}
		after := model.clone()
		wantReads, wantHook := []string{}, []string{}
		for _, s := range inTurn.steps {
			wantReads = append(wantReads, after.step(s))
		}
		if action == "do" {
			after.turns++
			inTurn.fail = []string{"", "", "", "", "error", "panic", "range", "key", "value", "assigned"}[r.IntN(10)]
			if inTurn.fail == "range" && len(after.pages) == 0 {
				inTurn.fail = ""
			}
			if conns > 0 && inTurn.fail == "" {
				inHook = archiveTester{steps: randomTableSteps(r, 8, false, fmt.Sprint(turn, "hook")), fail: []string{"", "error", "panic", "value"}[r.IntN(4)]}
				hooked := after.clone()
				for _, s := range inHook.steps {
					wantHook = append(wantHook, hooked.step(s))
				}
				if inHook.fail == "" {
					after = hooked
				}
			}
		}
		done := make(chan error, 1)
		go func() {
			_, err := node.CallOnce(context.Background(), archiveRef, host.DirectCall{Create: true, Action: action, Args: []json.RawMessage{}})
			done <- err
		}()
		synctest.Wait()
		if !slices.Equal(inTurn.reads, wantReads) || !slices.Equal(inHook.reads, wantHook) {
			t.Fatalf("turn %d, %s %+v (fail %q), hook %+v (fail %q):\ngot  %q, %q\nwant %q, %q", turn, action, inTurn.steps, inTurn.fail, inHook.steps, inHook.fail, inTurn.reads, inHook.reads, wantReads, wantHook)
		}
		if action == "do" && inTurn.fail == "" {
			model, conns = after, 0
		}
		switch r.IntN(12) {
		case 0:
			held.HoldAgain()
		case 1:
			held.ReleaseAll()
			durable = model
		case 2:
			if len(held.Waiting()) > 0 {
				for len(held.Waiting()) > 0 {
					held.Fail(store.ErrFull)
					synctest.Wait()
				}
				model, conns = durable, connsOf(held)
			}
		case 3:
			held.ReleaseAll()
			durable = model
			if err := node.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			node = start()
		case 4:
			if conns > 0 {
				break
			}
			held.ReleaseAll()
			durable = model
			id := fmt.Sprint("conn", turn)
			if err := node.Open(archiveRef, host.OpenRequest{Attachment: host.NextAttachment(), Conn: id, Create: true}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			conns = 1
		}
		if len(held.Waiting()) == 0 {
			durable = model
		}
		synctest.Wait()
	}
}

// connsOf returns how many connections the stored archive has.
func connsOf(s store.Store) int {
	snap, err := s.Load(context.Background(), host.ActorID(archiveRef.Name, archiveRef.Key))
	if err != nil {
		return 0
	}
	return len(snap.Conns)
}
