//go:build linux

package crashtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// shelf has boxes: a table of many pages.
type shelf struct {
	Boxes actor.Table[string, string] `json:"boxes"`
}

// Put puts a box of some size where another one may be.
func (s *shelf) Put(_ *actor.Context[actor.NoState], key, text string, size int) {
	s.Boxes.Set(key, strings.Repeat(text+" ", size))
}

// Remove removes a box, which may not be there.
func (s *shelf) Remove(_ *actor.Context[actor.NoState], key string) { s.Boxes.Delete(key) }

// List returns what is in all boxes, shortened to the first of the words and their number.
func (s shelf) List(*actor.Context[actor.NoState]) map[string]string {
	all := map[string]string{}
	for key, box := range s.Boxes.All() {
		text, _, _ := strings.Cut(box, " ")
		all[key] = fmt.Sprint(text, " ", strings.Count(box, text+" "))
	}
	return all
}

// serveShelves is the environment variable that makes the test's binary a server of shelves.
const serveShelves = "TROUPE_CRASHTEST_SHELVES"

func init() { registries[serveShelves] = actor.NewRegistry(actor.Define[shelf]("shelf")) }

// G6, G10, combination 5: random changes of tables, while nodes are killed between the pages that they
// write, and deposed owners finish theirs late. Each shelf has what its only client has put there, and
// so do reads in between.
func TestG10_NodesTables(t *testing.T) {
	c, seed := startNodes(t, serveShelves+"=1")
	const keys, most = 400, 300 // of a shelf; words in a box
	var models [6]map[string]string
	var changes, reads atomic.Int64
	check := func(i int) {
		var got map[string]string
		if err := actorCall(c, &got, "shelf", fmt.Sprint(i), "list", ""); err != nil {
			t.Errorf("shelf %d: %v", i, err)
			return
		}
		reads.Add(1)
		for key, want := range models[i] {
			if got[key] != want {
				t.Errorf("shelf %d: box %s has %q, want %q", i, key, got[key], want)
			}
		}
		if len(got) != len(models[i]) {
			t.Errorf("shelf %d has %d boxes, want %d", i, len(got), len(models[i]))
		}
	}
	done := make(chan struct{})
	var load sync.WaitGroup
	for i := range models {
		models[i] = map[string]string{}
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		load.Go(func() {
			for n := 0; !t.Failed(); n++ {
				select {
				case <-done:
					return
				default:
				}
				name, key, id := fmt.Sprint(i), fmt.Sprintf("%03d", r.IntN(keys)), fmt.Sprintf("%d-%d", i, n)
				var err error
				switch x := r.IntN(20); {
				case x == 0:
					check(i)
				case x < 14:
					size := 1 + r.IntN(most)
					err = actorCall(c, nil, "shelf", name, "put", id, key, id, size)
					models[i][key] = fmt.Sprint(id, " ", size)
				default:
					err = actorCall(c, nil, "shelf", name, "remove", id, key)
					delete(models[i], key)
				}
				if err != nil {
					t.Errorf("call %s: %v", id, err)
				}
				changes.Add(1)
			}
		})
	}
	r := rand.New(rand.NewPCG(seed, 500))
	var sum totals
	for i := range *roundsFlag * 3 {
		if i%2 == 0 && !c.awaitReady() {
			t.Errorf("the nodes are not ready within %v", settling)
			break
		}
		time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
		kinds := others
		if i%3 == 0 {
			kinds = c.ends
		}
		c.fault(r, oneOf(r, kinds), &sum)
	}
	close(done)
	load.Wait()
	for range 2 {
		for i := range models {
			check(i)
		}
		c.restart(&sum)
	}
	t.Logf("%d changes, %d reads of all: %+v", changes.Load(), reads.Load(), sum)
}
