package sqlite_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

var (
	itemsFlag  = flag.Int("sqlite.items", 1_000_000, "how many items the large table of the benchmarks has")
	boardsFlag = flag.String("sqlite.boards", "", "directory that keeps the tables of the benchmarks for the next run, which then measures the memory of a process that has not made them")
)

// Post is an item of about 186 bytes.
type Post struct {
	ID     uint64 `json:"id"`
	Author string `json:"author"`
	Text   string `json:"text"`
	Time   int64  `json:"time"`
}

func newPost(n int) Post {
	return Post{ID: uint64(n), Author: fmt.Sprint("author ", n%1000), Text: strings.Repeat("text ", 24), Time: 1_700_000_000_000}
}

// Board keeps posts in a table and in a list.
type Board struct {
	Posts actor.Table[uint64, Post] `json:"posts"`
	List  actor.List[Post]          `json:"list"`
}

func (b *Board) Fill(_ *actor.Context[actor.NoState], n int) {
	for range n {
		b.Posts.Append(newPost(b.Posts.Len()))
	}
}

func (b *Board) Append(*actor.Context[actor.NoState]) { b.Posts.Append(newPost(b.Posts.Len())) }

func (b *Board) AppendToList(*actor.Context[actor.NoState]) { b.List.Append(newPost(b.List.Len())) }

func (b Board) Page(_ *actor.Context[actor.NoState], before *uint64) actor.Page[uint64, Post] {
	return b.Posts.Page(actor.Before(before), 50)
}

func (b Board) Last(*actor.Context[actor.NoState]) Post {
	_, p, _ := b.Posts.Last()
	return p
}

var boards = actor.NewRegistry(actor.Define[Board]("board"))

func boardRef(name string) host.Ref { return host.Ref{Name: "board", Key: host.Key{name}} }

// callBoard calls an action of a board, which it makes if necessary.
func callBoard(b *testing.B, node *runtime.Node, name, action string, args ...any) json.RawMessage {
	raw := []json.RawMessage{}
	for _, a := range args {
		arg, err := json.Marshal(a)
		if err != nil {
			b.Error(err)
		}
		raw = append(raw, arg)
	}
	result, err := node.CallOnce(context.Background(), boardRef(name), host.DirectCall{Create: true, Action: action, Args: raw})
	if err != nil {
		b.Error(err)
	}
	return result
}

// benchBoards calls f with a node whose boards "small" and "large" have 10 items and
// -sqlite.items. Nothing else is under way in the store.
func benchBoards(b *testing.B, f func(s store.Store, node *runtime.Node)) {
	dir := *boardsFlag
	if dir == "" {
		dir = b.TempDir()
	}
	run := func(o sqlite.Options, f func(s store.Store, node *runtime.Node)) {
		s := open(b, dir, o)
		node := runtime.New(boards, s, runtime.Options{})
		f(s, node)
		if err := node.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
		closeStore(b, s)
	}
	run(sqlite.Options{}, func(s store.Store, node *runtime.Node) {
		if names, err := s.Names(b.Context()); err != nil || len(names) > 0 {
			return // they are there
		}
		callBoard(b, node, "small", "fill", 10)
		for left := *itemsFlag; left > 0; left -= 1000 {
			callBoard(b, node, "large", "fill", min(left, 1000))
		}
	})
	run(quiet, f)
}

// measureCPU reports the processor time of f.
func measureCPU(b *testing.B, f func()) {
	before := cpu()
	b.ResetTimer()
	f()
	reportCPU(b, cpu()-before)
}

// BenchmarkTable makes the first call of an actor that sleeps, with 10 items and with
// -sqlite.items, and reads pages of 50 items of about 186 bytes, at the end and at random.
func BenchmarkTable(b *testing.B) {
	benchBoards(b, func(s store.Store, node *runtime.Node) {
		for _, name := range []string{"small", "large"} {
			b.Run("first="+name, func(b *testing.B) {
				measureCPU(b, func() {
					for range b.N {
						sleeping := runtime.New(boards, s, runtime.Options{})
						callBoard(b, sleeping, name, "last")
						if err := sleeping.Shutdown(context.Background()); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(rss(b), "RSS-MiB")
			})
		}
		b.Run("page=end", func(b *testing.B) {
			measureCPU(b, func() {
				for range b.N {
					callBoard(b, node, "large", "page", nil)
				}
			})
		})
		b.Run("page=random", func(b *testing.B) {
			measureCPU(b, func() {
				for range b.N {
					callBoard(b, node, "large", "page", 1+rand.IntN(*itemsFlag))
				}
			})
			b.ReportMetric(rss(b), "RSS-MiB")
		})
	})
}

// rss returns the memory that the process has, in MiB.
func rss(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kib) / 1024
}

// BenchmarkAppend adds an item of about 186 bytes in each turn, 64 actors at the same time, and
// waits until it is durable.
func BenchmarkAppend(b *testing.B) {
	const actors = 64
	for _, action := range []string{"append", "appendToList"} {
		b.Run(action, func(b *testing.B) {
			s := open(b, b.TempDir(), sqlite.Options{})
			node := runtime.New(boards, s, runtime.Options{})
			measureCPU(b, func() {
				var wait sync.WaitGroup
				for i := range actors {
					wait.Go(func() {
						for range (b.N + actors - 1 - i) / actors {
							callBoard(b, node, fmt.Sprint(i), action)
						}
					})
				}
				wait.Wait()
			})
			if err := node.Shutdown(context.Background()); err != nil {
				b.Error(err)
			}
			closeStore(b, s)
		})
	}
}
