package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// shelf has collections among other fields.
type shelf struct {
	Count   int                        `json:"count,omitempty"`
	Books   actor.List[book]           `json:"books"`
	Name    string                     `json:"name"`
	Scores  actor.Map[string, int]     `json:"scores"`
	Authors actor.Map[int8, []string]  `json:"authors"`
	Rest    map[string]json.RawMessage `json:"rest,omitempty"`
	Floats  actor.List[float64]
	Scratch actor.List[int] `json:"-"`

	restored int
}

type book struct {
	Title string `json:"title"`
	Pages int    `json:"pages,omitempty"`
}

// plainShelf is what a shelf is on the wire.
type plainShelf struct {
	Count   int                        `json:"count,omitempty"`
	Name    string                     `json:"name"`
	Rest    map[string]json.RawMessage `json:"rest,omitempty"`
	Books   []book                     `json:"books"`
	Scores  map[string]int             `json:"scores"`
	Authors map[int8][]string          `json:"authors"`
	Floats  []float64
}

func emptyShelf() *plainShelf {
	return &plainShelf{Books: []book{}, Scores: map[string]int{}, Authors: map[int8][]string{}, Floats: []float64{}}
}

func (p *plainShelf) clone() *plainShelf {
	c := *p
	c.Books, c.Scores, c.Floats = slices.Clone(p.Books), maps.Clone(p.Scores), slices.Clone(p.Floats)
	c.Authors, c.Rest = maps.Clone(p.Authors), maps.Clone(p.Rest)
	return &c
}

// step is one change of a shelf.
type step struct {
	Kind string
	I, J int
	Key  string
	Book book
}

func (s *shelf) OnRestore() { s.restored++ }

// Do makes changes, and may fail in one way or another.
func (s *shelf) Do(c *actor.Context[actor.NoState], steps []step, fail string) error {
	for _, st := range steps {
		switch st.Kind {
		case "count":
			s.Count = st.I
		case "name":
			s.Name = st.Key
		case "rest":
			if s.Rest == nil {
				s.Rest = map[string]json.RawMessage{}
			}
			s.Rest[st.Key] = json.RawMessage(fmt.Sprint(st.I))
		case "append":
			s.Books.Append(slices.Repeat([]book{st.Book}, st.I)...)
		case "insert":
			s.Books.Insert(st.I, st.Book)
		case "set":
			s.Books.Set(st.I, st.Book)
		case "delete":
			s.Books.Delete(st.I, st.J)
		case "score":
			s.Scores.Set(st.Key, st.I)
		case "unscore":
			s.Scores.Delete(st.Key)
		case "clear":
			s.Scores.Clear()
		case "author":
			s.Authors.Set(int8(st.I), []string{st.Key})
		case "float":
			s.Floats.Append(float64(st.I) / 3)
		}
	}
	switch fail {
	case "error":
		return actor.Errorf("failed", "as asked")
	case "range":
		s.Books.Delete(0, s.Books.Len()+1)
	case "not a number":
		s.Floats.Append(1, math.NaN())
	case "assign":
		s.Books = actor.List[book]{}
	case "assign after a change":
		s.Books.Append(book{"lost", 1})
		s.Scores = actor.Map[string, int]{}
	case "a key":
		s.Scores.Set("\xff", 1)
	case "while ranging":
		for i := range s.Books.All() {
			s.Books.Delete(i, i+1)
		}
		s.Books.At(-1)
	}
	return nil
}

// model does the same to plain values.
func (p *plainShelf) do(steps []step) {
	for _, st := range steps {
		switch st.Kind {
		case "count":
			p.Count = st.I
		case "name":
			p.Name = st.Key
		case "rest":
			if p.Rest == nil {
				p.Rest = map[string]json.RawMessage{}
			}
			p.Rest[st.Key] = json.RawMessage(fmt.Sprint(st.I))
		case "append":
			p.Books = append(p.Books, slices.Repeat([]book{st.Book}, st.I)...)
		case "insert":
			p.Books = slices.Insert(p.Books, st.I, st.Book)
		case "set":
			p.Books[st.I] = st.Book
		case "delete":
			p.Books = slices.Delete(p.Books, st.I, st.J)
		case "score":
			p.Scores[st.Key] = st.I
		case "unscore":
			delete(p.Scores, st.Key)
		case "clear":
			clear(p.Scores)
		case "author":
			p.Authors[int8(st.I)] = []string{st.Key}
		case "float":
			p.Floats = append(p.Floats, float64(st.I)/3)
		}
	}
}

// Dump returns the state as JSON, through all that reads.
func (s shelf) Dump(*actor.Context[actor.NoState]) (plainShelf, error) {
	p := plainShelf{Count: s.Count, Name: s.Name, Rest: s.Rest, Scores: map[string]int{}, Authors: maps.Collect(s.Authors.All())}
	p.Books = s.Books.Slice(0, s.Books.Len())
	for key, score := range s.Scores.All() {
		if got, ok := s.Scores.Get(key); !ok || got != score {
			return p, fmt.Errorf("score %s is %d, ranging finds %d", key, got, score)
		}
		p.Scores[key] = score
	}
	for i, b := range s.Books.Backward() {
		if s.Books.At(i) != b || b != p.Books[i] {
			return p, fmt.Errorf("book %d is %v, ranging finds %v", i, s.Books.At(i), b)
		}
	}
	p.Floats = s.Floats.Slice(0, s.Floats.Len())
	for _, c := range []interface{ Size() int }{s.Books, s.Scores, s.Authors, s.Floats} {
		if b, err := json.Marshal(c); err != nil || len(b) != c.Size() {
			return p, fmt.Errorf("size %d of %s, %v", c.Size(), b, err)
		}
	}
	return p, nil
}

func (s shelf) Restored(*actor.Context[actor.NoState]) int { return s.restored }

// Sneak is read-only by its receiver.
func (s shelf) Sneak(*actor.Context[actor.NoState]) { s.Books.Append(book{"sneaked", 1}) }

// InPlace changes copies.
func (s *shelf) InPlace(*actor.Context[actor.NoState]) {
	for _, names := range s.Authors.All() {
		names[0] = "another"
	}
}

func (s *shelf) Scribble(*actor.Context[actor.NoState]) int {
	s.Scratch.Append(1)
	return s.Scratch.Len()
}

var shelves = actor.NewRegistry(actor.Define[shelf]("shelf"))

func randomSteps(r *rand.Rand, p *plainShelf) []step {
	p = p.clone()
	var steps []step
	for range r.IntN(6) {
		st := step{
			Kind: []string{"count", "name", "rest", "append", "append", "append", "insert", "set", "delete", "score", "score", "score", "unscore", "clear", "author", "float"}[r.IntN(16)],
			I:    r.IntN(100) - 50,
			Key:  fmt.Sprint(strings.Repeat("ä<\"", r.IntN(2)), r.IntN(30)),
			Book: book{strings.Repeat("x", r.IntN(60)), r.IntN(3)},
		}
		n := len(p.Books)
		switch st.Kind {
		case "append":
			st.I = 1 + r.IntN(3)*r.IntN(200)
		case "insert":
			st.I = r.IntN(n + 1)
		case "set":
			if n == 0 {
				continue
			}
			st.I = r.IntN(n)
		case "delete":
			st.I = r.IntN(n + 1)
			st.J = st.I + r.IntN(n-st.I+1)/(1+r.IntN(8))
		case "clear":
			if r.IntN(4) > 0 {
				continue
			}
		}
		p.do([]step{st})
		steps = append(steps, st)
	}
	return steps
}

// Whatever turns do to collections, and however they fail, the actor, and what it
// finds in the store when it is loaded again, are what plain values would be.
func TestG7_CollectionsEqualSlicesAndMaps(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			changeShelf(t, rand.New(rand.NewPCG(seed, 2)), func(turn int) bool { return turn < 60 })
		})
	}
}

// FuzzCollections is TestG7_CollectionsEqualSlicesAndMaps with chances that are chosen.
func FuzzCollections(f *testing.F) {
	for seed := range uint64(8) {
		var chances [200]byte
		_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(chances[:]) // never fails
		f.Add(chances[:])
	}
	f.Fuzz(func(t *testing.T, chances []byte) {
		source := &chosen{chances: chances}
		changeShelf(t, rand.New(source), func(turn int) bool { return turn < 60 && len(source.chances) > 0 })
	})
}

// chosen is a rand.Source of given numbers, then any.
type chosen struct {
	chances []byte
	rest    uint64
}

func (c *chosen) Uint64() uint64 {
	if len(c.chances) == 0 {
		c.rest += 0x9e3779b97f4a7c15 // math/rand waits for some that are not alike
		return c.rest
	}
	next := c.chances[0]
	c.chances = c.chances[1:]
	return uint64(next) * 0x0101010101010101
}

// changeShelf runs random turns on a shelf and compares it with plain values after
// each, as long as more says.
func changeShelf(t *testing.T, r *rand.Rand, more func(turn int) bool) {
	actortest.Run(t, shelves, func(n *actortest.Node) {
		want := emptyShelf()
		a := n.Actor("shelf", "a")
		for turn := 0; more(turn); turn++ {
			steps := randomSteps(r, want)
			fail := ""
			if r.IntN(3) == 0 {
				fail = []string{"error", "range", "not a number", "assign", "assign after a change", "a key", "while ranging"}[r.IntN(7)]
				code := "internal_error"
				if fail == "error" {
					code = "failed"
				}
				if err := a.Fail("do", steps, fail); err.Code != code {
					t.Fatalf("turn %d, to fail with %s: got %v", turn, fail, err)
				}
			} else {
				actortest.Call[any](a, "do", steps, "")
				want.do(steps)
			}
			if r.IntN(10) == 0 {
				n.Restart()
			}
			sameShelf(t, a, want)
			if t.Failed() {
				t.Fatalf("after turn %d: %v %s", turn, steps, fail)
			}
		}
	})
}

func sameShelf(t *testing.T, a *actortest.Actor, want *plainShelf) {
	t.Helper()
	got := actortest.Call[json.RawMessage](a, "dump")
	if text := marshal(t, want); string(got) != text {
		t.Errorf("got %s, want %s", got, text)
	}
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What only turns may do through a collection's methods, and only those turns that
// may change the state, is refused in any other way.
func TestCollectionsChangeOnlyInTurns(t *testing.T) {
	actortest.Run(t, shelves, func(n *actortest.Node) {
		want := emptyShelf()
		a := n.Actor("shelf", "a")
		steps := []step{{Kind: "append", I: 1, Book: book{"Emma", 474}}, {Kind: "author", I: 1, Key: "Austen"}}
		actortest.Call[any](a, "do", steps, "")
		want.do(steps)
		if err := a.Fail("sneak"); err.Code != "internal_error" {
			t.Errorf("sneak: got %v", err)
		}
		sameShelf(t, a, want)
		actortest.Call[any](a, "inPlace") // it changes a copy
		sameShelf(t, a, want)
		before := actortest.Call[int](a, "restored")
		a.Fail("do", []step{{Kind: "append", I: 1}}, "error")
		if got := actortest.Call[int](a, "restored"); got != before+1 {
			t.Errorf("OnRestore ran %d times with an undo, want once", got-before)
		}
	})
}

// An ephemeral collection is not stored and not undone.
func TestAnEphemeralCollectionIsNotKept(t *testing.T) {
	actortest.Run(t, shelves, func(n *actortest.Node) {
		a := n.Actor("shelf", "a")
		actortest.Call[int](a, "scribble")
		if got := actortest.Call[int](a, "scribble"); got != 2 {
			t.Errorf("got %d items, want 2", got)
		}
	})
}

// commitStore keeps the last commit.
type commitStore struct {
	store.Store
	last *store.Commit
}

func (s *commitStore) Commit(ctx context.Context, group []*store.Commit) []error {
	s.last = group[len(group)-1]
	return s.Store.Commit(ctx, group)
}

// However long a collection is, a commit has what changed in it.
func TestACommitHasOnlyTheChangesOfACollection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &commitStore{Store: memory.New(memory.Options{})}
		b := newBench(t, s, shelves)
		do := func(steps ...step) {
			t.Helper()
			args := []json.RawMessage{[]byte(marshal(t, steps)), []byte(`""`)}
			if _, err := b.node.CallOnce(t.Context(), host.Ref{Name: "shelf", Key: host.Key{"a"}}, host.DirectCall{Create: true, Action: "do", Args: args}); err != nil {
				t.Fatal(err)
			}
		}
		do(step{Kind: "append", I: 10_000, Book: book{"Emma", 474}}, step{Kind: "score", Key: "b", I: 1})
		if s.last.State == nil || s.last.Edits != nil {
			t.Fatal("the first commit has to have the whole state")
		}
		do(step{Kind: "delete", I: 0, J: 1}, step{Kind: "append", I: 1, Book: book{"Persuasion", 249}}, step{Kind: "score", Key: "a", I: 2}, step{Kind: "name", Key: "x"})
		if s.last.State != nil {
			t.Error("a later commit has the whole state")
		}
		var puts []string
		for _, e := range s.last.Edits {
			puts = append(puts, fmt.Sprint(e.Cut, string(e.Put)))
		}
		want := []string{`0"a":2,`, `29`, `0,{"title":"Persuasion","pages":249}`, `0x`}
		if !slices.Equal(puts, want) {
			t.Errorf("got %q, want %q", puts, want)
		}
		for key := range 40 {
			do(step{Kind: "rest", Key: fmt.Sprint(key + 10), I: 1000})
		}
		do(step{Kind: "rest", Key: "10", I: 1001}, step{Kind: "rest", Key: "30", I: 1002}, step{Kind: "rest", Key: "49", I: 1003})
		puts = nil
		for _, e := range s.last.Edits {
			puts = append(puts, fmt.Sprint(e.Cut, string(e.Put)))
		}
		if want := []string{"11", "12", "13"}; !slices.Equal(puts, want) {
			t.Errorf("scalar fields: got %q, want %q", puts, want)
		}
		rev := s.last.Rev
		do([]step{}...)
		if s.last.Rev != rev {
			t.Errorf("a turn that changes nothing was committed: revision %d", s.last.Rev)
		}
	})
}

// vault has a hook about connections that fails after it has changed things.
type vault struct {
	Log    actor.List[string] `json:"log"`
	Visits int                `json:"visits"`
}

func (v *vault) OnDrop(*actor.Context[actor.NoState]) error {
	v.Log.Append("dropped")
	v.Visits++
	return nil
}

func (v *vault) OnDisconnect(c *actor.Context[actor.NoState]) error {
	v.Log.Delete(0, v.Log.Len())
	v.Visits = 0
	return actor.Errorf("failed", "as it does")
}

// Expel ends all connections; their hook fails, and what Expel did stays.
func (v *vault) Expel(c *actor.Context[actor.NoState]) {
	v.Log.Append("expelled")
	for conn := range c.Conns() {
		conn.Disconnect("expelled")
	}
}

func (v vault) Get(*actor.Context[actor.NoState]) string {
	return fmt.Sprint(v.Log.Slice(0, v.Log.Len()), v.Visits)
}

func TestG7_AHookThatFailsUndoesItsChangesOfACollection(t *testing.T) {
	actortest.Run(t, actor.NewRegistry(actor.Define[vault]("vault")), func(n *actortest.Node) {
		a := n.Actor("vault", "a")
		a.Connect(nil).Drop()
		c := a.Connect(nil)
		actortest.Call[any](a, "expel")
		if _, closed := c.Closed(); !closed {
			t.Error("the connection is not closed")
		}
		for range 2 {
			if got := actortest.Call[string](a, "get"); got != "[dropped expelled] 1" {
				t.Errorf("got %s", got)
			}
			n.Restart()
		}
	})
}
