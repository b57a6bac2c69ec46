package storetest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

var seedFlag = flag.Uint64("storetest.seed", 0, "seed of the random operations; 0: another one each time")

// model is the expected content of a store, in plain maps.
type model map[string]*modelActor

type modelActor struct {
	last    *store.Commit // name, key, log, state and so on as of the newest revision
	conns   map[uint32]store.Conn
	callers map[string]store.Caller
	entries []store.Entry
	trimmed uint64 // entries up to this one are no longer retained, until the store is opened again
	lost    bool   // some entries were once no longer retained
	more    modelMore
}

// random does many random operations on a store and on a model, and compares their
// results.
func random(t *testing.T, s *reopenable) { randomly(t, s, false) }

// randomTrimmed does the same with a store that retains little.
func randomTrimmed(t *testing.T, s *reopenable) { randomly(t, s, true) }

func randomly(t *testing.T, s *reopenable, trims bool) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat: -storetest.seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	m := model{}
	steps := 1200
	if testing.Short() {
		steps = 300
	}
	for step := range steps {
		actor := fmt.Sprint("actor", r.IntN(6))
		switch r.IntN(13) {
		default:
			m.commit(t, r, s)
		case 0:
			m.load(t, s, actor)
		case 1:
			m.read(t, r, s, actor, trims)
		case 2:
			m.connected(t, s)
			if r.IntN(20) == 0 {
				s.again(t)
				m.reopened()
			}
		case 3:
			m.items(t, r, s, actor)
		case 4:
			m.due(t, r, s)
			m.list(t, r, s)
		}
		if t.Failed() {
			t.Fatalf("at step %d", step)
		}
	}
	trimmed := 0 // actors with entries that are no longer retained
	for i := range 6 {
		actor := fmt.Sprint("actor", i)
		m.load(t, s, actor)
		m.items(t, r, s, actor)
		a := m[actor]
		if got := entries(t, s, actor, 0, 1, 1<<20); a.lost || len(a.entries) > a.more.served && (len(got) == 0 || int(got[0].Seq) > a.more.served+1) {
			trimmed++
		}
	}
	if trims && trimmed == 0 {
		t.Error("the store has trimmed nothing: it retains too much for this test")
	}
}

// commit passes a group in which some commits do not follow.
func (m model) commit(t *testing.T, r *rand.Rand, s store.Store) {
	var group []*store.Commit
	var conflicts []bool
	failed := map[string]bool{}
	any := false
	for range 1 + r.IntN(4) {
		actor := fmt.Sprint("actor", r.IntN(6))
		c := m.next(r, actor)
		switch r.IntN(30) {
		case 0, 1:
			c.Rev += uint64(r.IntN(3)) + 1
			failed[actor] = true
		case 2:
			c.Base, c.State = nil, nil
			c.Edits = []store.Edit{{Put: []byte(" ")}, {At: 1 << 30, Cut: r.IntN(2)}}
			failed[actor] = true
		}
		group = append(group, c)
		conflicts = append(conflicts, failed[actor])
		any = any || failed[actor]
		if !failed[actor] {
			m.apply(c)
		}
	}
	errs := commitAndReuse(t, s, group)
	if errs == nil {
		errs = make([]error, len(group))
	} else if !any {
		t.Errorf("Commit of a good group: got %v, want nil", errs)
	}
	for i, conflict := range conflicts {
		if conflict != errors.Is(errs[i], store.ErrConflict) || !conflict && errs[i] != nil {
			t.Errorf("commit %d of %d (%s, revision %d): got %v, want a conflict: %t", i, len(group), group[i].Actor, group[i].Rev, errs[i], conflict)
		}
	}
}

// next makes a commit that follows the model's newest revision.
func (m model) next(r *rand.Rand, actor string) *store.Commit {
	c := turn(actor, 1)
	head := uint64(0)
	if a := m[actor]; a != nil {
		c = turn(actor, a.last.Rev+1)
		if c.Base = a.last.State; c.Base != nil {
			c.State = change(r, c.Base)
		}
		head = uint64(len(a.entries))
		switch how := r.IntN(4); {
		case how == 0:
			c.State = nil
		case how == 1 && c.Base != nil:
			c.Edits = edits(r, c.Base, c.State)
			c.Base, c.State = nil, nil
		}
	}
	for range r.IntN(4) {
		head++
		e := event(head)
		switch r.IntN(3) {
		case 0:
			e.Direct = true
			e.Target = store.Target{Mode: store.ToOnly, Conns: []uint32{uint32(r.IntN(4)), 4 + uint32(r.IntN(4))}}
		case 1:
			e = store.Entry{Seq: head, Caller: "x", Call: head}
		}
		c.Entries = append(c.Entries, e)
	}
	for range r.IntN(3) {
		num := uint32(r.IntN(6))
		switch r.IntN(4) {
		case 0:
			c.Gone = append(c.Gone, num)
		case 1:
			c.Conns = append(c.Conns, store.Conn{Num: num, ID: fmt.Sprint(num), State: json.RawMessage(fmt.Sprint(c.Rev))})
		case 2:
			c.GoneCallers = append(c.GoneCallers, fmt.Sprint(num))
		case 3:
			c.Callers = append(c.Callers, store.Caller{
				ID: fmt.Sprint(num), Highest: c.Rev, Used: c.Time.UTC(),
				Answers: make([]store.Answer, r.IntN(3)),
			})
		}
	}
	m.addMore(r, c)
	return c
}

// change returns another state, often similar to the last.
func change(r *rand.Rand, state []byte) []byte {
	var s map[string]any
	if err := json.Unmarshal(state, &s); err != nil {
		panic(err) // the suite has made it
	}
	switch r.IntN(8) {
	case 0:
		s = map[string]any{"new": r.IntN(1000)}
	case 1:
		list, _ := s["list"].([]any)
		for range r.IntN(200) {
			list = append(list, fmt.Sprint("äöü ", r.IntN(100)))
		}
		s["list"] = list
	case 2:
		if list, _ := s["list"].([]any); len(list) > 2 {
			s["list"] = list[r.IntN(len(list)/2):]
		}
	default:
		s[fmt.Sprint("key", r.IntN(20))] = r.IntN(1000)
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}

// edits returns edits that turn a state into another, in one or more steps.
func edits(r *rand.Rand, from, to []byte) []store.Edit {
	from = slices.Clone(from)
	var all []store.Edit
	for range r.IntN(3) { // to some text in between
		at := r.IntN(len(from) + 1)
		e := store.Edit{At: at, Cut: r.IntN(len(from) - at + 1), Put: to[:r.IntN(len(to))]}
		all = append(all, e)
		from = slices.Replace(from, e.At, e.At+e.Cut, e.Put...)
	}
	at := 0
	for at < min(len(from), len(to)) && from[at] == to[at] {
		at++
	}
	return append(all, store.Edit{At: at, Cut: len(from) - at, Put: to[at:]})
}

func (m model) apply(c *store.Commit) {
	a := m[c.Actor]
	if a == nil {
		a = &modelActor{conns: map[uint32]store.Conn{}, callers: map[string]store.Caller{}}
		m[c.Actor] = a
	}
	last := *c
	if a.last != nil && !a.more.tombstone && c.End != store.Destroyed {
		last.Key = a.last.Key
	}
	if c.End == store.Destroyed {
		a.destroy(c)
	}
	if last.State == nil && a.last != nil {
		last.State = a.last.State
		for _, e := range c.Edits {
			last.State = slices.Replace(slices.Clone(last.State), e.At, e.At+e.Cut, e.Put...)
		}
	}
	a.last = &last
	for _, e := range c.Entries {
		e.Time = c.Time
		a.entries = append(a.entries, e)
	}
	for _, conn := range c.Conns {
		a.conns[conn.Num] = conn
	}
	for _, num := range c.Gone {
		delete(a.conns, num)
	}
	for _, caller := range c.Callers {
		a.callers[caller.ID] = caller
	}
	for _, id := range c.GoneCallers {
		delete(a.callers, id)
	}
	a.applyMore(c)
}

func (m model) load(t *testing.T, s store.Store, actor string) {
	a := m[actor]
	got, err := s.Load(t.Context(), actor)
	if a == nil {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Load(%s): got %v, want ErrNotFound", actor, err)
		}
		return
	}
	if err != nil {
		t.Errorf("Load(%s): %v", actor, err)
		return
	}
	want := &store.Snapshot{
		Actor: actor, Name: a.last.Name, Key: a.last.Key, Log: a.last.Log, Rev: a.last.Rev,
		Head: uint64(len(a.entries)), State: a.last.State, NextConn: a.last.NextConn, Changed: a.last.Time.UTC(),
	}
	for _, num := range slices.Sorted(maps.Keys(a.conns)) {
		want.Conns = append(want.Conns, a.conns[num])
	}
	for _, id := range slices.Sorted(maps.Keys(a.callers)) {
		caller := a.callers[id]
		caller.Answers = slices.Clip(caller.Answers)
		want.Callers = append(want.Callers, caller)
	}
	a.more.addTo(want)
	equal(t, "snapshot of "+actor, withEmpty(got), withEmpty(want))
}

func (m model) read(t *testing.T, r *rand.Rand, s store.Store, actor string, trims bool) {
	var all []store.Entry
	a := m[actor]
	if a != nil {
		all = a.entries
	}
	after, limit := r.IntN(len(all)+2), r.IntN(20)
	got := entries(t, s, actor, uint64(after), limit, 1<<20)
	if a != nil {
		after = max(after, a.more.served)
	}
	from := min(after, len(all))
	if trims && a != nil && limit > 0 {
		// It may start later than asked, or be empty. Trimmed entries stay trimmed while the
		// store is open.
		from = len(all)
		if len(got) > 0 {
			from = max(after, int(a.trimmed), int(got[0].Seq)-1)
		}
		if from > after {
			a.trimmed, a.lost = uint64(from), true
		}
	}
	want := all[min(from, len(all)):]
	want = want[:min(limit, len(want))]
	equal(t, fmt.Sprintf("entries of %s after %d, at most %d", actor, after, limit), got, want)
	for i := range min(len(got), len(want)) {
		if !got[i].Time.Truncate(time.Millisecond).Equal(want[i].Time) {
			t.Errorf("time of entry %d of %s: got %v, want %v", got[i].Seq, actor, got[i].Time, want[i].Time)
		}
	}
}

// reopened says that the store was opened again: trimmed entries may be there again.
func (m model) reopened() {
	for _, a := range m {
		a.trimmed = 0
	}
}

func (m model) connected(t *testing.T, s store.Store) {
	var got, want []string
	if err := s.Connected(t.Context(), store.AllPartitions, func(actor string) bool { got = append(got, actor); return true }); err != nil {
		t.Errorf("Connected: %v", err)
	}
	for actor, a := range m {
		if len(a.conns) > 0 {
			want = append(want, actor)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	equal(t, "connected actors", got, want)
}
