package runtime_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/host"
)

// TestG9_ActorsThatDoNotExistTakeNoMemory: probing for random keys does not fill the
// memory.
func TestG9_ActorsThatDoNotExistTakeNoMemory(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		for i := range 100 {
			byKey := host.Ref{Name: "ledger", Key: host.Key{fmt.Sprint(i)}}
			for _, ref := range []host.Ref{{ID: fmt.Sprint(i)}, byKey} {
				if _, err := b.node.Resolve(t.Context(), ref); err == nil {
					t.Fatalf("%v exists", ref)
				}
			}
			if _, err := b.node.CallOnce(t.Context(), byKey, host.DirectCall{Action: "get"}); err == nil {
				t.Fatalf("%v exists", byKey)
			}
		}
		synctest.Wait()
		if n := b.node.Actors(); n != 0 {
			t.Errorf("%d actors that do not exist are in memory", n)
		}
	})
}
