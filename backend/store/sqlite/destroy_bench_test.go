package sqlite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// Album has items that are gone when it is destroyed.
type Album struct {
	Photos actor.Table[uint64, string] `json:"photos"`
}

const albumMarker = "marker-of-the-album"

// Fill adds n photos of about 186 bytes.
func (a *Album) Fill(_ *actor.Context[actor.NoState], n int) {
	for range n {
		a.Photos.Append(albumMarker + strings.Repeat(" photo", 27))
	}
}

// Add adds a photo that is not marked.
func (a *Album) Add(*actor.Context[actor.NoState]) { a.Photos.Append("a photo") }

// Remove destroys the album.
func (a *Album) Remove(c *actor.Context[actor.NoState]) { c.Destroy() }

var albums = actor.NewRegistry(actor.Define[Album]("album"))

// BenchmarkDestroy destroys an album of -sqlite.items items while others are changed, and
// reports how long their calls took, before and while the items are deleted.
func BenchmarkDestroy(b *testing.B) {
	for range b.N {
		before, during, left := destroyAlbum(b, *itemsFlag, sqlite.Options{})
		if left > 0 {
			b.Errorf("the file still has %d marks", left)
		}
		report := func(what string, all []time.Duration) {
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, what+"-p50-ms")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, what+"-p99-ms")
			b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, what+"-max-ms")
		}
		report("before", before)
		report("during", during)
		b.ReportMetric(0, "ns/op")
	}
}

// TestDestroy_leavesNothing: nothing of a destroyed actor's items is in the file, and others
// are changed meanwhile.
func TestDestroy_leavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, during, left := destroyAlbum(t, 20_000, sqlite.Options{})
		if len(during) == 0 || left > 0 {
			t.Errorf("%d others were changed meanwhile, the file has %d marks", len(during), left)
		}
	})
}

// Without secure_delete they stay.
func TestDestroy_withoutSecureDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, _, left := destroyAlbum(t, 5_000, sqlite.Options{NoSecureDelete: true}); left == 0 {
			t.Error("the file has no marks")
		}
	})
}

// destroyAlbum makes an album of some items, destroys it, and returns how long calls to others
// took in the second before and until its items were deleted, and how many marks the file has
// then.
func destroyAlbum(t testing.TB, items int, o sqlite.Options) (before, during []time.Duration, marks int) {
	o.Retention, o.Logger = time.Second, quiet.Logger
	dir := t.TempDir()
	call := func(node *runtime.Node, key, action string, args ...any) {
		var raw []json.RawMessage
		for _, a := range args {
			arg, _ := json.Marshal(a)
			raw = append(raw, arg)
		}
		ref := host.Ref{Name: "album", Key: host.Key{key}}
		if _, err := node.CallOnce(context.Background(), ref, host.DirectCall{Create: true, Action: action, Args: raw}); err != nil {
			t.Error(err)
		}
	}
	session := func(f func(node *runtime.Node)) {
		s := open(t, dir, o)
		node := runtime.New(albums, s, runtime.Options{Logger: quiet.Logger})
		f(node)
		if err := node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		closeStore(t, s)
	}
	session(func(node *runtime.Node) {
		for left := items; left > 0; left -= 1000 {
			call(node, "large", "fill", min(left, 1000))
		}
	})
	file := filepath.Join(dir, "troupe.db")
	if marks := marksIn(t, file); marks == 0 {
		t.Error("the file has no marks before it is destroyed")
	}
	db := raw(t, dir)
	wait := func(query string) {
		for range 6000 {
			var rows int
			if err := db.QueryRow(query).Scan(&rows); err != nil {
				t.Error(err)
			}
			if rows == 0 {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Errorf("after five minutes there are still rows of %s", query)
	}
	session(func(node *runtime.Node) {
		var mu sync.Mutex
		var destroyed, done atomic.Bool
		var callers sync.WaitGroup
		for i := range 8 {
			callers.Go(func() {
				for !done.Load() {
					late, start := destroyed.Load(), time.Now()
					call(node, fmt.Sprint("other", i), "add")
					took := time.Since(start)
					mu.Lock()
					if late {
						during = append(during, took)
					} else {
						before = append(before, took)
					}
					mu.Unlock()
					time.Sleep(2 * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		destroyed.Store(true)
		call(node, "large", "remove")
		wait("SELECT (SELECT count(*) FROM garbage) + (SELECT count(*) FROM (SELECT 1 FROM items WHERE value LIKE '%marker%' LIMIT 1))")
		done.Store(true)
		callers.Wait()
		wait("SELECT count(*) FROM groups WHERE commits LIKE '%marker%'")
	})
	if _, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil { // db has kept the store from that
		t.Error(err)
	}
	return before, during, marksIn(t, file)
}

func marksIn(t testing.TB, file string) int {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte(albumMarker))
}
