package cluster

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// TestG8_ManyLargeOutputsLeaveRoom: however much is new in a log, only as much of it is under way
// as the session has room for, so that there is room for answers: without it the session ends.
func TestG8_ManyLargeOutputsLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, _ := newPorts(t)
		f := read(t, gateway, general)
		f.next()
		a := owner.host.actor(general)
		a.writer.Configure(64<<20, 0)
		data := json.RawMessage(`"` + strings.Repeat("x", 500_000) + `"`)
		outputs := make([]*host.Output, 60)
		for i := range outputs {
			e := store.Entry{Seq: uint64(i + 1), Event: "said", Data: data, Time: time.UnixMilli(1)}
			a.entries = append(a.entries, e)
			outputs[i] = host.OutputOf(e)
		}
		a.writer.Release(a.writer.Put(outputs...))
		synctest.Wait()
		if under := owner.port.Unacked(); under > 10<<20 {
			t.Errorf("%d MiB are under way", under>>20)
		}
		if _, err := gateway.port.Find(t.Context(), general, host.Identity{}); err != nil {
			t.Errorf("an answer beside them: %v", err)
		}
		got := f.next()
		for i, s := range got {
			if s != "0 "+string(data) {
				t.Fatalf("got %.50s as the %d. output", s, i+1)
			}
		}
		if len(got) != len(outputs) {
			t.Errorf("got %d of %d outputs", len(got), len(outputs))
		}
	})
}
