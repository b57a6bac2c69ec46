package definition_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/definition/definitiontest"
)

var seed = flag.Uint64("definition.seed", 0, "of the random types and values; 0: a new one")

// TestG7_CopiesShareNoMemory: of random types, whatever is changed in a copy leaves the
// original as it was, and a copy equals its original.
func TestG7_CopiesShareNoMemory(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-definition.seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	rounds := 3000
	if testing.Short() {
		rounds = 500
	}
	for range rounds {
		typ := definitiontest.RandomType(r, 4)
		original := reflect.New(typ).Elem()
		definitiontest.Randomize(r, original, 4)
		before := encode(t, original)
		changed, err := definition.CopierOf(typ).Copy(original.Interface())
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		own := reflect.New(typ).Elem()
		own.Set(reflect.ValueOf(changed))
		if got := encode(t, own); !bytes.Equal(got, before) {
			t.Fatalf("copy of a %s: got %s, want %s", typ, got, before)
		}
		definitiontest.Mutate(own)
		if got := encode(t, original); !bytes.Equal(got, before) {
			t.Fatalf("%s: a change of its copy reached it: got %s, want %s", typ, got, before)
		}
	}
}

// branch knows its parent.
type branch struct {
	Name   string
	Twigs  []*branch
	Parent *branch
}

// tree leaves the parents out of its JSON.
type tree struct{ Root *branch }

func (t tree) MarshalJSON() ([]byte, error) { return json.Marshal(t.Root.Name) }
func (t *tree) UnmarshalJSON(b []byte) error {
	t.Root = &branch{}
	return json.Unmarshal(b, &t.Root.Name)
}

// TestACycleEndsNoProcess: a value with a pointer to its parent is copied by its own JSON,
// and is an error if it has none.
func TestACycleEndsNoProcess(t *testing.T) {
	root := &branch{Name: "root"}
	root.Twigs = []*branch{{Name: "twig", Parent: root}, {Name: "other", Parent: root}}
	if _, err := definition.CopierOf(reflect.TypeFor[*branch]()).Copy(root); err == nil {
		t.Error("a value that contains itself was copied, want an error")
	}
	for _, original := range []any{tree{root}, &tree{root}, []tree{{root}}, map[string]tree{"a": {root}}} {
		c, err := definition.CopierOf(reflect.TypeOf(original)).Copy(original)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := marshal(t, c), marshal(t, original); got != want {
			t.Errorf("copy of a %T: got %s, want %s", original, got, want)
		}
	}
}

// TestWhatIsStoredDeepIsCopied: a value as deep as encoding/json decodes has a copy.
func TestWhatIsStoredDeepIsCopied(t *testing.T) {
	const pairs = 4_900 // an array and an object each
	text := strings.Repeat(`{"Twigs":[`, pairs) + strings.Repeat(`]}`, pairs)
	var deep *branch
	if err := json.Unmarshal([]byte(text), &deep); err != nil {
		t.Fatal(err)
	}
	if _, err := definition.CopierOf(reflect.TypeFor[*branch]()).Copy(deep); err != nil {
		t.Error(err)
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func encode(t *testing.T, v reflect.Value) []byte {
	t.Helper()
	b, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type message struct {
	ID     string         `json:"id"`
	Text   string         `json:"text"`
	Tags   []string       `json:"tags"`
	Counts map[string]int `json:"counts"`
	At     time.Time      `json:"at"`
}

type tagged struct {
	Text string   `json:"text"`
	Tags []string `json:"tags"`
}

func BenchmarkCopy(b *testing.B) {
	for _, v := range []any{
		tagged{"hello", []string{"a", "b"}},
		message{"m1", "hello", []string{"a", "b"}, map[string]int{"x": 1, "y": 2}, time.Unix(1, 0)},
	} {
		typ := reflect.TypeOf(v)
		b.Run(typ.Name()+"/copier", func(b *testing.B) {
			c := definition.CopierOf(typ)
			own := reflect.New(typ).Elem()
			b.ReportAllocs()
			for b.Loop() {
				own.Set(reflect.ValueOf(v))
				if err := c.Detach(own); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(typ.Name()+"/json", func(b *testing.B) {
			raw, err := json.Marshal(v)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := json.Unmarshal(raw, reflect.New(typ).Interface()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
