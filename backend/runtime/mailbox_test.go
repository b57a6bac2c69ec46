package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// limited runs a test with a node that has limits, and a blocker "a" that is busy
// until free is called.
func limited(t *testing.T, o actor.Options, no runtime.Options, test func(t *testing.T, n *runtime.Node, free func())) {
	reg := actor.NewRegistry(actor.Define[blocker]("blocker"), actor.WithOptions(o))
	inBubble(t, func(t *testing.T) {
		block := make(chan struct{})
		blockOn.Store(&block)
		no.Logger = slog.New(slog.DiscardHandler)
		n := runtime.New(reg, memory.New(memory.Options{}), no)
		t.Cleanup(func() {
			if err := n.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		go func() {
			_, _ = n.CallOnce(context.Background(), blockerRef("a"), host.DirectCall{Create: true, Action: "block"})
		}()
		synctest.Wait()
		test(t, n, sync.OnceFunc(func() { close(block) }))
	})
}

func blockerRef(key string) host.Ref { return host.Ref{Name: "blocker", Key: host.Key{key}} }

// overloaded checks that an error is overloaded by a limit.
func overloaded(t *testing.T, err error, limit any, option string) {
	t.Helper()
	var e *host.Fault
	if !errors.As(err, &e) {
		t.Errorf("got %v, want overloaded", err)
		return
	}
	if e.Code != "overloaded" || string(e.Metadata) != fmt.Sprintf(`{"limit":%v,"option":"%s"}`, limit, option) {
		t.Errorf("got %v %s, want overloaded by %v of %s", err, e.Metadata, limit, option)
	}
}

// TestG9_AMailboxIsBoundedInBytes: what waits for an actor, calls and connects, takes
// so much memory and no more; what does not wait any more makes room.
func TestG9_AMailboxIsBoundedInBytes(t *testing.T) {
	limited(t, actor.Options{MaxMailboxBytes: 100_000}, runtime.Options{}, func(t *testing.T, n *runtime.Node, free func()) {
		defer free()
		large := json.RawMessage(`"` + strings.Repeat("x", 60_000) + `"`)
		call := func() error {
			return n.Call(blockerRef("a"), host.CallRequest{Attachment: host.Attachment{N: 1}, Conn: "none", ID: 1, Action: "block", Args: []json.RawMessage{large}})
		}
		open := func() error {
			return n.Open(blockerRef("a"), host.OpenRequest{Attachment: host.Attachment{N: 2}, Conn: "none", Params: large})
		}
		if err := call(); err != nil {
			t.Fatal(err)
		}
		overloaded(t, call(), 100_000, "actor.Options.MaxMailboxBytes")
		overloaded(t, open(), 100_000, "actor.Options.MaxMailboxBytes")
		_, err := n.Create(t.Context(), blockerRef("a"), large, host.Identity{})
		overloaded(t, err, 100_000, "actor.Options.MaxMailboxBytes")
		if err := n.Call(blockerRef("a"), host.CallRequest{Attachment: host.Attachment{N: 1}, Conn: "none", ID: 2, Action: "block"}); err != nil {
			t.Errorf("a small call: %v", err)
		}
		if err := n.Open(blockerRef("b"), host.OpenRequest{Attachment: host.Attachment{N: 3}, Conn: "none", Params: large}); err != nil {
			t.Errorf("another actor: %v", err)
		}
		free()
		synctest.Wait()
		for range 10 {
			if err := call(); err != nil {
				t.Fatalf("when it is free again: %v", err)
			}
			synctest.Wait()
		}
	})
}

// TestG9_MailboxesAreBoundedTogether: what waits for all actors takes so much memory,
// and an actor that was asked for in vain is not kept.
func TestG9_MailboxesAreBoundedTogether(t *testing.T) {
	limited(t, actor.Options{}, runtime.Options{MaxQueuedBytes: 100_000}, func(t *testing.T, n *runtime.Node, free func()) {
		defer free()
		large := json.RawMessage(`"` + strings.Repeat("x", 90_000) + `"`)
		if err := n.Call(blockerRef("a"), host.CallRequest{Attachment: host.Attachment{N: 1}, Conn: "none", ID: 1, Args: []json.RawMessage{large}}); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			overloaded(t, n.Open(blockerRef(fmt.Sprint("b", i)), host.OpenRequest{Conn: "none", Params: large}), 100_000, "max-buffers")
		}
		if got := n.Actors(); got != 1 {
			t.Errorf("%d actors are in memory, want 1", got)
		}
		free()
		synctest.Wait()
		if err := n.Open(blockerRef("b"), host.OpenRequest{Conn: "none", Params: large}); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
	})
}

// TestG9_AcksDoNotFillAMailbox: a client that sends acknowledgements without end does not
// fill a mailbox.
func TestG9_AcksDoNotFillAMailbox(t *testing.T) {
	limited(t, actor.Options{MaxMailbox: 10}, runtime.Options{}, func(t *testing.T, n *runtime.Node, free func()) {
		defer free()
		for i := range 1000 {
			n.Ack(blockerRef("a"), host.Attachment{N: 1}, uint64(i))
		}
		overloaded(t, n.Call(blockerRef("a"), host.CallRequest{Attachment: host.Attachment{N: 1}, Conn: "none", ID: 1}), 10, "actor.Options.MaxMailbox")
		free()
		synctest.Wait()
		if err := n.Call(blockerRef("a"), host.CallRequest{Attachment: host.Attachment{N: 1}, Conn: "none", ID: 1}); err != nil {
			t.Error(err)
		}
	})
}

// herald sends a message to each of many others, and is busy while their answers come.
type herald struct{}

type news struct{}

func (h *herald) Announce(c *nothing, receivers int) {
	for i := range receivers {
		c.Send(actor.Of("herald", fmt.Sprint(i)), news{})
	}
}

func (h *herald) Wait(*nothing)             { time.Sleep(10 * time.Second) }
func (h *herald) news(*nothing, news) error { return nil }

// Answers to an actor's messages do not count as calls that wait for it.
func TestAnswersToMessagesLeaveRoomForCalls(t *testing.T) {
	reg := actor.NewRegistry(actor.Define[herald]("herald", actor.Handles((*herald).news), actor.WithOptions(actor.Options{MaxMailbox: 5})))
	actortest.Run(t, reg, func(n *actortest.Node) {
		h := n.Actor("herald", "h")
		actortest.Call[any](h, "announce", 100)
		go actortest.Call[any](h, "wait")
		time.Sleep(time.Second)
		actortest.Call[any](h, "announce", 0)
	})
}

// TestG9_MaxActors: requests for ever new actors fill neither the memory nor the store,
// and existing actors keep working. When others have left memory there is room.
func TestG9_MaxActors(t *testing.T) {
	reg := actor.NewRegistry(actor.Define[notes]("notes"))
	inBubble(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		n := runtime.New(reg, s, runtime.Options{Logger: slog.New(slog.DiscardHandler), MaxActors: 100})
		t.Cleanup(func() {
			if err := n.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		ref := func(i int) host.Ref { return host.Ref{Name: "notes", Key: host.Key{fmt.Sprint(i)}} }
		read := func(i int) error {
			_, err := n.CallOnce(t.Context(), ref(i), host.DirectCall{Create: true, Action: "get"})
			return err
		}
		refused := 0
		for i := range 1000 {
			if err := read(i); err != nil {
				overloaded(t, err, 100, "max-actors")
				refused++
			}
		}
		if got := n.Actors(); got != 100 || refused != 900 {
			t.Errorf("%d actors are in memory, %d were refused; want 100 and 900", got, refused)
		}
		_, err := n.Follow(ref(1000), nil)
		overloaded(t, err, 100, "max-actors")
		if err := read(5); err != nil {
			t.Errorf("an actor that is there: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := n.Actors(); got != 0 {
			t.Errorf("%d actors are left in memory", got)
		}
		if err := read(1000); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
		for i := range 1000 {
			if _, err := n.Resolve(t.Context(), ref(i)); err == nil {
				t.Fatalf("the store knows the actor %d, which nothing was written to", i)
			}
		}
	})
}
