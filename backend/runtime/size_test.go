package runtime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// hoard grows in its scalar fields, its list and its map.
type hoard struct {
	Text  string                    `json:"text"`
	List  actor.List[string]        `json:"list"`
	Named actor.Map[string, string] `json:"named"`
}

func (h *hoard) Put(_ *actor.Context[actor.NoState], where string, bytes int) error {
	text := strings.Repeat("x", bytes)
	switch where {
	case "scalar":
		h.Text = text
	case "list":
		h.List.Append(text)
	case "map":
		h.Named.Set("a", text)
	case "clear":
		h.List.Clear()
	case "swap":
		h.List.Clear()
		h.List.Append(text)
	}
	return nil
}

func (h hoard) Size(*actor.Context[actor.NoState]) int {
	return len(h.Text) + h.List.Size() + h.Named.Size()
}

const hoardLimit = 10_000

var (
	hoards   = actor.NewRegistry(actor.Define[hoard]("hoard", actor.WithOptions(actor.Options{MaxState: hoardLimit})))
	hoardRef = host.Ref{Name: "hoard", Key: host.Key{"a"}}
)

type putCase struct {
	where string
	bytes int
	want  string
}

func putAll(t *testing.T, b *bench, cases []putCase) {
	t.Helper()
	for _, test := range cases {
		before, _ := result[int](b, hoardRef, "size")
		_, err := result[any](b, hoardRef, "put", test.where, test.bytes)
		if code(err) != test.want {
			t.Errorf("%s %d: got %v, want %s", test.where, test.bytes, err, test.want)
		}
		if after, _ := result[int](b, hoardRef, "size"); err != nil && after != before {
			t.Errorf("%s %d: a refused turn left %d bytes, want %d", test.where, test.bytes, after, before)
		}
	}
}

// TestAStateIsBounded: a state does not grow beyond MaxState, wherever it grows, and its
// actor works on.
func TestAStateIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, hoards)
		putAll(t, b, []putCase{
			{"scalar", 4_000, "none"},
			{"list", 4_000, "none"},
			{"map", 3_000, "too_large"},
			{"list", 3_000, "too_large"},
			{"scalar", 7_000, "too_large"},
			{"map", 1_000, "none"},
			{"clear", 0, "none"},
			{"map", 3_000, "none"},
		})
		if got := strings.Count(b.log.String(), "half of its limit"); got != 1 {
			t.Errorf("got %d warnings, want one", got)
		}
		if log := b.log.String(); !strings.Contains(log, "actor=hoard") || !strings.Contains(log, "option=actor.Options.MaxState") {
			t.Errorf("got log %s, want that it names the actor and the option", log)
		}
	})
}

// TestAStoredStateBeyondTheLimitWorks: of what is stored already only growth is refused.
func TestAStoredStateBeyondTheLimitWorks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := memory.New(memory.Options{Retention: time.Hour})
		large := strings.Repeat("x", 3*hoardLimit)
		if errs := s.Commit(t.Context(), []*store.Commit{{
			Actor: host.ActorID(hoardRef.Name, hoardRef.Key), Name: hoardRef.Name, Key: hoardRef.Key, Log: "log", Rev: 1, Time: time.Now(), NextConn: 1,
			State: []byte(`{"text":"` + large + `","list":["` + large + `"],"named":{}}`),
		}}); errs != nil {
			t.Fatal(errs)
		}
		b := newBench(t, s, hoards)
		putAll(t, b, []putCase{
			{"swap", 3 * hoardLimit, "none"},
			{"swap", 3*hoardLimit + 1, "too_large"},
			{"map", 1, "too_large"},
			{"scalar", hoardLimit, "none"},
			{"map", hoardLimit, "too_large"},
			{"clear", 0, "none"},
			{"map", 1, "too_large"},
			{"scalar", hoardLimit / 2, "none"},
			{"map", 1, "none"},
		})
		b.restart()
		putAll(t, b, []putCase{{"map", 2, "none"}})
	})
}
