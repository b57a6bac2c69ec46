package sqlite_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// Hall records the connections that ended.
type Hall struct {
	Gone []string `json:"gone"`
}

// OnConnect makes the connection known to the hall.
func (h *Hall) OnConnect(*actor.Context[actor.NoState]) {}

// OnDisconnect notes that a connection is over.
func (h *Hall) OnDisconnect(c *actor.Context[actor.NoState]) { h.Gone = append(h.Gone, c.Conn().ID()) }

type noFollower struct{}

func (*noFollower) Published() {}

// G3: connections survive a crash. Connections whose clients never come back end with
// their resume window, even if their actors are never used.
func TestG3_ConnectionsThatNeverComeBackEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const halls = 20
		registry := actor.NewRegistry(actor.Define[Hall]("hall"))
		dir := t.TempDir()
		s := open(t, dir, quiet)
		node := runtime.New(registry, s, runtime.Options{})
		var ids []string
		follower := &noFollower{}
		for i := range halls {
			ref := host.Ref{Name: "hall", Key: host.Key{fmt.Sprint(i)}}
			log, err := node.Follow(ref, follower)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, log.Actor())
			for _, conn := range []string{"ada", "bob"} {
				if err := node.Open(ref, host.OpenRequest{Attachment: host.NextAttachment(), Conn: conn, Create: true}); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Second)
		after := crashed(t, dir)
		if err := node.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		closeStore(t, s)

		time.Sleep(time.Hour) // the server is down when their window ends
		s = open(t, after, quiet)
		node = runtime.New(registry, s, runtime.Options{})
		conns := func() (n int) {
			t.Helper()
			for _, id := range ids {
				snapshot, err := s.Load(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				n += len(snapshot.Conns)
			}
			return n
		}
		time.Sleep(119 * time.Second)
		if got := conns(); got != 2*halls {
			t.Errorf("before their window is over: got %d connections, want %d", got, 2*halls)
		}
		time.Sleep(3 * time.Second)
		if got := conns(); got != 0 {
			t.Errorf("after it: got %d connections, want none", got)
		}
		for _, id := range ids {
			if snapshot, err := s.Load(t.Context(), id); err != nil || string(snapshot.State) != `{"gone":["ada","bob"]}` {
				t.Errorf("got state %s, %v; want that OnDisconnect ran for both", snapshot.State, err)
			}
		}
		if err := node.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		closeStore(t, s)
	})
}
