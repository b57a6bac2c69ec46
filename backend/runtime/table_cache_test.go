package runtime_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// drawer has a table whose keys are strings, one of which may be empty.
type drawer struct {
	Books actor.Table[string, int] `json:"books"`
}

func (s *drawer) Fill(*archiveContext) {
	for i := range 4 {
		s.Books.Set(fmt.Sprint("book", i), i)
	}
}

func (s drawer) Before(_ *archiveContext, key string) (n int) {
	for range s.Books.Backward(key) {
		n++
	}
	return n
}

func (s drawer) Page(_ *archiveContext, key string) int {
	return len(s.Books.Page(actor.Before(&key), 10).Items)
}

func (s drawer) Between(_ *archiveContext, from, to string) (n int) {
	for range s.Books.Range(from, to) {
		n++
	}
	return n
}

func (s drawer) Count(*archiveContext) (n int) {
	for range s.Books.All() {
		n++
	}
	return n
}

// Ranges that have no keys, of which clients may ask, leave nothing in memory that takes the
// place of what has keys.
func TestTable_EmptyRanges(t *testing.T) {
	seed := *tableSeed
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat: -runtime.table.seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	inBubble(t, func(t *testing.T) {
		var log bytes.Buffer
		b := &bench{t: t, node: runtime.New(actor.NewRegistry(actor.Define[drawer]("drawer")), memory.New(memory.Options{}), runtime.Options{
			Logger: slog.New(slog.NewTextHandler(&log, nil)), TableCacheBytes: 2000,
		})}
		defer func() {
			if err := b.node.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		for i := range 4 {
			if _, err := result[any](b, drawerRef(i), "fill"); err != nil {
				t.Fatal(err)
			}
		}
		keys := []string{"", "book", "book1", "book2", "c"}
		for range 500 {
			ref, from, to := drawerRef(r.IntN(4)), keys[r.IntN(len(keys))], keys[r.IntN(len(keys))]
			switch r.IntN(3) {
			case 0:
				want := map[string]int{"": 0, "book": 0, "book1": 1, "book2": 2, "c": 4}[to]
				action := []string{"before", "page"}[r.IntN(2)]
				if got, err := result[int](b, ref, action, to); got != want || err != nil {
					t.Fatalf("%s %q: got %d, %v; want %d\n%s", action, to, got, err, want, log.String())
				}
			case 1:
				want := 0
				for i := range 4 {
					if key := fmt.Sprint("book", i); from <= key && key < to {
						want++
					}
				}
				if got, err := result[int](b, ref, "between", from, to); got != want || err != nil {
					t.Fatalf("from %q to %q: got %d, %v; want %d\n%s", from, to, got, err, want, log.String())
				}
			case 2:
				if got, err := result[int](b, ref, "count"); got != 4 || err != nil {
					t.Fatalf("all: got %d, %v; want 4\n%s", got, err, log.String())
				}
			}
		}
	})
}

func drawerRef(i int) host.Ref { return host.Ref{Name: "drawer", Key: host.Key{fmt.Sprint(i)}} }
