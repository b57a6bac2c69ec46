package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

func TestG1_CallsOfAConnectionRunInOrderAndNeverOverlap(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		ada, bob := b.open(ledgerRef, asAda), b.open(ledgerRef, asBob)
		ada.read()
		bob.read()
		for id := range uint64(200) {
			ada.call(id+1, "add", 1)
			bob.call(id+1, "add", 1)
		}
		var last uint64
		for _, o := range ada.read() {
			if o.Kind != host.OutputReply {
				continue
			}
			if o.Call != last+1 {
				t.Fatalf("got the reply of call %d after that of %d", o.Call, last)
			}
			last = o.Call
		}
		if got := b.total(ledgerRef); last != 200 || got != 400 {
			t.Errorf("got %d replies and a total of %d, want 200 and 400", last, got)
		}
	})
}

func TestG2_EventsOfAnActionComeBeforeItsReply(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		ada, bob := b.open(ledgerRef, asAda), b.open(ledgerRef, asBob)
		ada.read()
		bob.read()
		ada.call(1, "add", 3)
		if got, want := kinds(ada.read()), "opened added reply:3 "; got != want {
			t.Errorf("the caller got %q, want %q", got, want)
		}
		if got, want := kinds(bob.read()), "opened added "; got != want {
			t.Errorf("the other got %q, want %q", got, want)
		}
		for i, o := range ada.got[1:] {
			if o.Seq != uint64(i+1) || !o.Numbered {
				t.Errorf("output %d has number %d (numbered: %v), want %d", i, o.Seq, o.Numbered, i+1)
			}
		}
	})
}

// A repeated call is the usual case after a crash: durable, but unanswered.
func TestG5_ARepeatedCallDoesNotRunAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		ada := b.open(ledgerRef, asAda)
		ada.read()
		ada.call(1, "add", 3)
		ada.call(2, "add", 13) // fails, is kept
		ada.call(3, "add", 0)  // changes: an entry by name
		ada.call(4, "get")
		if got, want := kinds(ada.read()), "opened added reply:3 fail:unlucky added reply:3 reply:3 "; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		ada.got = nil
		for id := range uint64(4) {
			ada.call(id+1, []string{"add", "add", "add", "get"}[id], []any{3, 13, 0}[:min(1, 3-min(id, 3))]...)
		}
		if got, want := kinds(ada.read()), "fail:ran fail:unlucky fail:ran reply:3 "; got != want {
			t.Errorf("repeated calls got %q, want %q", got, want)
		}
		if got := b.total(ledgerRef); got != 3 {
			t.Errorf("got total %d, want 3: a repeated call ran again", got)
		}
	})
}

func TestG5_ARepeatedCallDoesNotRunAgainAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		ada := b.open(ledgerRef, asAda)
		ada.read()
		ada.call(1, "add", 3)
		ada.call(2, "add", 13) // its failure travels with the next commit
		ada.call(3, "add", 4)
		opened := ada.read()[0].Opened
		b.restart()

		req := asAda
		req.Resume, req.Log, req.Seq = true, opened.Log, 0
		again := b.open(ledgerRef, req)
		if o := again.last(); o == nil || o.Kind != host.OutputOpened || !o.Opened.Resumed || o.Opened.Reason != "" || o.Opened.Start != 0 {
			t.Fatalf("got %q, want the same connection to be resumed from 0", kinds(again.got))
		}
		again.got = nil
		again.call(1, "add", 3)
		again.call(2, "add", 13)
		again.call(4, "add", 5)
		if got, want := kinds(again.read()), "fail:ran fail:unlucky added reply:12 "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestG5_AcknowledgedFailuresAreForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		ada := b.open(ledgerRef, asAda)
		ada.call(1, "add", 13)
		ada.call(2, "add", 13)
		ada.read()
		b.node.Ack(ledgerRef, ada.req.Attachment, 1)
		ada.got = nil
		ada.call(1, "add", 13)
		ada.call(2, "add", 13)
		if got, want := kinds(ada.read()), "fail:ran fail:unlucky "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestG5_AnIdempotencyKeyRunsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), ledgers)
		call := host.DirectCall{Create: true, IdempotencyKey: "key-1", Action: "add", Args: []json.RawMessage{[]byte("7")}}
		for i := range 4 {
			raw, err := b.node.CallOnce(context.Background(), ledgerRef, call)
			if err != nil || string(raw) != "7" {
				t.Fatalf("call %d: got %s, %v, want 7", i, raw, err)
			}
			if i == 1 {
				b.restart()
			}
		}
		if got := b.total(ledgerRef); got != 7 {
			t.Errorf("got total %d, want 7", got)
		}
	})
}

// TestG5_AnIdempotencyKeyIsOfOneCall: another call with a key that was used does not get
// the answer of the first, and does not run.
func TestG5_AnIdempotencyKeyIsOfOneCall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), ledgers)
		call := func(action, args string) string {
			t.Helper()
			var raw []json.RawMessage
			if err := json.Unmarshal([]byte(args), &raw); err != nil {
				t.Fatal(err)
			}
			got, err := b.node.CallOnce(context.Background(), ledgerRef, host.DirectCall{Create: true, IdempotencyKey: "key-1", Action: action, Args: raw})
			if err != nil {
				return code(err)
			}
			return string(got)
		}
		for range 2 {
			for _, test := range []struct{ action, args, want string }{
				{"add", "[5]", "5"}, {"add", "[ 5 ]", "5"}, {"add", "[7]", "idempotency_mismatch"}, {"ping", "[5]", "idempotency_mismatch"},
				{"get", "[]", "idempotency_mismatch"}, {"add", "[]", "idempotency_mismatch"}, {"nothing", "[5]", "idempotency_mismatch"},
				{"add", "[5]", "5"},
			} {
				if got := call(test.action, test.args); got != test.want {
					t.Errorf("%s%s: got %s, want %s", test.action, test.args, got, test.want)
				}
			}
			b.restart()
		}
		if got := b.total(ledgerRef); got != 5 {
			t.Errorf("got total %d, want 5", got)
		}
	})
}

func TestG9_ArgumentsAreCheckedBeforeTheTurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		for _, test := range []struct{ action, args, code, message string }{
			{"add", `[]`, "invalid_args", "add takes 1 argument, got 0"},
			{"add", `[1,2]`, "invalid_args", "add takes 1 argument, got 2"},
			{"add", `["x"]`, "invalid_args", "add: argument 1: want an integer, got string"},
			{"add", `[1.5]`, "invalid_args", "add: argument 1: want an integer, got number 1.5"},
			{"add", `[null]`, "invalid_args", "add: argument 1: want an integer, got null"},
			{"add", `[{"a":1}]`, "invalid_args", "add: argument 1: want an integer, got object"},
			{"get", `[1]`, "invalid_args", "get takes no arguments, got 1"},
			{"nothing", `[]`, "unknown_action", `ledger has no action "nothing"`},
			{"createConnState", `[]`, "unknown_action", `ledger has no action "createConnState"`},
			{"rename", `["x"]`, "connection_required", "rename needs a connection"},
		} {
			var args []json.RawMessage
			if err := json.Unmarshal([]byte(test.args), &args); err != nil {
				t.Fatal(err)
			}
			_, err := b.node.CallOnce(context.Background(), ledgerRef, host.DirectCall{Create: true, Action: test.action, Args: args})
			var e *host.Fault
			if !errors.As(err, &e) || e.Code != test.code || e.Message != test.message {
				t.Errorf("%s%s: got %v, want %s: %s", test.action, test.args, err, test.code, test.message)
			}
		}
		for _, test := range []struct {
			ref  host.Ref
			code string
		}{
			{host.Ref{Name: "nobody", Key: host.Key{"a"}}, "unknown_actor"},
			{host.Ref{Name: "ledger"}, "bad_key"},
			{host.Ref{Name: "ledger", Key: host.Key{""}}, "bad_key"},
			{host.Ref{ID: "nonsense"}, "not_found"},
		} {
			_, err := b.node.CallOnce(context.Background(), test.ref, host.DirectCall{Action: "get"})
			var e *host.Fault
			if !errors.As(err, &e) || e.Code != test.code {
				t.Errorf("%+v: got %v, want code %s", test.ref, err, test.code)
			}
		}
	})
}

func TestReadingAnActorDoesNotStoreIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		if got := b.total(ledgerRef); got != 0 {
			t.Errorf("got %d, want 0", got)
		}
		if ref, err := b.node.Resolve(context.Background(), ledgerRef); err == nil {
			t.Errorf("an actor that was only read exists as %s", ref.ID)
		}
		id, err := b.node.Create(context.Background(), ledgerRef, nil, host.Identity{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.node.Create(context.Background(), ledgerRef, nil, host.Identity{}); err == nil {
			t.Error("an actor was created twice")
		}
		want := host.Ref{Name: ledgerRef.Name, Key: ledgerRef.Key, ID: id}
		if got, err := b.node.Resolve(context.Background(), host.Ref{ID: id}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("resolve by id: got %v, %v, want %v", got, err, want)
		}
		b.restart()
		if raw, err := b.node.CallOnce(context.Background(), host.Ref{ID: id}, host.DirectCall{Action: "get"}); err != nil || string(raw) != "0" {
			t.Errorf("call by id: got %s, %v, want 0", raw, err)
		}
	})
}

func TestAFullMailboxRefusesCalls(t *testing.T) {
	block := make(chan struct{})
	reg := actor.NewRegistry(actor.Define[blocker]("blocker"), actor.WithOptions(actor.Options{MaxMailbox: 3}))
	inBubble(t, func(t *testing.T) {
		block = make(chan struct{})
		blockOn.Store(&block)
		b := newBench(t, nil, reg)
		ref := host.Ref{Name: "blocker", Key: host.Key{"a"}}
		var wait sync.WaitGroup
		for range 4 { // one runs, three wait
			wait.Go(func() {
				if _, err := b.node.CallOnce(t.Context(), ref, host.DirectCall{Create: true, Action: "block"}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		_, err := b.node.CallOnce(t.Context(), ref, host.DirectCall{Create: true, Action: "block"})
		var e *host.Fault
		if !errors.As(err, &e) || e.Code != "overloaded" {
			t.Errorf("got %v, want overloaded", err)
		}
		close(block)
		wait.Wait()
	})
}

func TestCallsTimeOutAndHaveNoEffect(t *testing.T) {
	actortest.Run(t, slowRegistry, func(n *actortest.Node) {
		room := n.Actor("slow", "a")
		ada := room.Connect(nil)
		start := time.Now()
		if err := ada.Fail("wait", 10_000); err.Code != "timeout" {
			t.Errorf("got %v, want timeout", err)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("the context ended after %s, want 1s", got)
		}
		if got := actortest.Call[int](ada, "wait", 100); got != 1 {
			t.Errorf("got %d calls that counted, want 1", got)
		}
	})
}

// An action that ignores its context must not block the actor forever.
func TestATurnThatDoesNotReturnIsAbandoned(t *testing.T) {
	for _, how := range []string{"hang", "goexit"} {
		t.Run(how, func(t *testing.T) {
			actortest.Run(t, slowRegistry, func(n *actortest.Node) {
				release := make(chan struct{})
				hangOn.Store(&release)
				room := n.Actor("slow", "a")
				ada, bob := room.Connect(nil), room.Connect(nil)
				actortest.Call[int](ada, "wait", 1)
				want := map[string]string{"hang": "timeout", "goexit": "internal_error"}[how]
				if err := ada.Fail(how); err.Code != want {
					t.Errorf("got %v, want %s", err, want)
				}
				if got := actortest.Call[int](bob, "wait", 1); got != 2 {
					t.Errorf("the other connection got %d, want 2", got)
				}
				if got := actortest.Call[int](ada, "wait", 1); got != 3 {
					t.Errorf("the same connection got %d, want 3", got)
				}
				close(release) // the abandoned turn continues, and must have no effect
				synctest.Wait()
				if got := actortest.Call[int](ada, "wait", 1); got != 4 {
					t.Errorf("got %d after the abandoned turn returned, want 4", got)
				}
			})
		})
	}
}

// What user code returns is encoded inside its turn, where a panic is the
// turn's own.
func TestG7_ResultsAndErrorsThatCannotBeEncodedFailTheTurn(t *testing.T) {
	actortest.Run(t, hostiles, func(n *actortest.Node) {
		ada := n.Actor("hostile", "a").Connect(nil)
		for _, action := range []string{"badResult", "badMetadata", "nilError"} {
			if err := ada.Fail(action); err.Code != "internal_error" {
				t.Errorf("%s: got %v, want internal_error", action, err)
			}
		}
		actortest.Call[any](ada, "score", "ada")
		err := ada.Fail("sharedMetadata")
		actortest.Call[any](ada, "score", "bob")
		if got := fmt.Sprintf("%s", err.Metadata); got != `{"ada":1}` {
			t.Errorf("got metadata %s, want it as it was when the action failed", got)
		}
	})
}

// Who only looked at an actor has not created it.
func TestCreateAfterAReadHasItsInput(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, attics)
		if _, err := result[string](b, atticRef, "dump"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.node.Create(t.Context(), atticRef, json.RawMessage(`["one","two"]`), host.Identity{}); err != nil {
			t.Fatal(err)
		}
		if got, err := result[string](b, atticRef, "dump"); !strings.Contains(got, "[onetrue twotrue]") || err != nil {
			t.Errorf("got %s, %v, want both labels", got, err)
		}
	})
}

// What changes nothing leaves no record: it may be repeated.
func TestCallsOfUnknownActionsMayBeRepeated(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		ada := b.open(ledgerRef, asAda)
		ada.call(1, "nonsense")
		ada.call(1, "nonsense")
		ada.call(1, "add", 1)
		if got, want := kinds(ada.read()), "opened fail:unknown_action fail:unknown_action added reply:1 "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
