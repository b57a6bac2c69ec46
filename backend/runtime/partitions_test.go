package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
	"github.com/troupe-dev/troupe/backend/wire"
)

// onPairs runs f in a bubble with seeds.
func onPairs(t *testing.T, f func(t *testing.T, seed uint64)) {
	t.Helper()
	runs := *sendRuns
	if testing.Short() {
		runs = min(runs, 5)
	}
	for seed := range uint64(runs) {
		if inBubble(t, func(t *testing.T) { f(t, seed) }); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// G12 while owners move and are deposed, and links lose, delay and repeat.
func TestG12_TransfersConserveMoneyWhileOwnersMove(t *testing.T) {
	onPairs(t, func(t *testing.T, seed uint64) {
		p := newPair(t, wallets(), seed)
		defer p.stop()
		var refs []host.Ref
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			refs = append(refs, host.Ref{Name: "wallet", Key: host.Key{name}})
		}
		var done sync.WaitGroup
		done.Go(func() { p.disturb(60, refs...) })
		accepted, unclear := map[string]int{}, map[string]int{}
		for range 80 {
			if from, to := p.chance.IntN(5), p.chance.IntN(5); from != to {
				_, err := p.call(refs[from], "give", refs[to].Key[0], 1+p.chance.IntN(100))
				pair := refs[from].Key[0] + refs[to].Key[0]
				switch code(err) {
				case "none":
					accepted[pair]++
				case wire.CodeMaybeRan:
					unclear[pair]++
				}
			}
			time.Sleep(time.Duration(p.chance.IntN(300)) * time.Millisecond)
		}
		done.Wait()
		time.Sleep(10 * time.Minute)
		all := map[string]wallet{}
		sum := 0
		for _, r := range refs {
			raw, err := p.call(r, "get")
			var w wallet
			if err != nil || json.Unmarshal(raw, &w) != nil {
				t.Fatal(err)
			}
			all[r.Key[0]] = w
			sum += w.Balance
			if w.Disorder > 0 {
				t.Errorf("%d messages to %s were out of order", w.Disorder, r.Key)
			}
		}
		if sum != 0 {
			t.Errorf("there is %d more money than before", sum)
		}
		for from, w := range all {
			for to, n := range w.Sent {
				if got := all[to].Received[from]; got != n {
					t.Errorf("of %d messages from %s to %s the last that was received is %d", n, from, to, got)
				}
				if a := accepted[from+to]; n < a || n > a+unclear[from+to] {
					t.Errorf("%s has sent %d to %s, want the %d that were accepted, and up to %d", from, n, to, a, unclear[from+to])
				}
			}
		}
	})
}

// walker is a client of a ledger that makes calls, one after the other, and opens again
// whenever its channel ends.
type walker struct {
	p     *pair
	ref   host.Ref
	req   host.OpenRequest
	calls uint64 // to make

	wake chan struct{}
	num  uint32
	seen []uint64 // numbers of the events
	sum  int      // of the calls that succeeded
	from uint64   // where its connection began
	next uint64   // the call without an answer
}

func (w *walker) Published() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// walk runs the client until its calls are answered, and then until done is closed.
func (w *walker) walk(done <-chan struct{}) {
	w.wake, w.next = make(chan struct{}, 1), 1
	for over := false; !over; {
		over = w.attach(done)
		time.Sleep(5 * time.Millisecond)
	}
}

// attach opens the connection, and keeps it until its channel ends. It reports whether the
// client is done.
func (w *walker) attach(done <-chan struct{}) bool {
	node := w.p.ownerOf(w.ref.ID)
	log, err := node.Follow(w.ref, w)
	if err != nil {
		return false
	}
	defer node.Unfollow(w.ref, w)
	pos := log.Visible()
	w.req.Attachment = host.NextAttachment()
	w.req.Try++
	if node.Open(w.ref, w.req) != nil {
		return false
	}
	opened, closing := false, done
	for {
		outs, next, ok := log.Read(pos, nil, 1000)
		if pos = next; !ok {
			w.p.t.Error("the log has forgotten what its follower has not read")
		}
		for _, o := range outs {
			switch {
			case o.Kind == host.OutputClosed && o.To == w.req.Attachment:
				return false
			case o.Kind == host.OutputOpened && o.To == w.req.Attachment:
				w.opened(o.Opened, log)
				opened = true
				w.call(node)
			case opened && o.Numbered:
				w.take(o)
			case opened && o.Kind == host.OutputFail && o.To == w.req.Attachment && o.Call == w.next:
				w.answered()
			}
		}
		if opened && len(outs) > 0 {
			w.call(node)
		}
		select {
		case <-w.wake:
		case <-closing:
			if opened && w.next > w.calls && w.req.Seq == log.Head() {
				return true
			}
			closing = nil
			time.AfterFunc(time.Second, func() { w.Published() })
		case <-time.After(2 * time.Minute):
			if opened && w.next > w.calls {
				return true
			}
			w.p.t.Errorf("nothing happens: opened %v, call %d of %d", opened, w.next, w.calls)
			return true
		}
	}
}

// opened takes what was missed.
func (w *walker) opened(o *host.OpenedInfo, log *host.Log) {
	if !w.req.Resume {
		w.from, w.req.Seq = o.Start, o.Start
	} else if o.Reason != "" || !o.Resumed {
		w.p.t.Errorf("the connection was not resumed: %q", o.Reason)
	}
	w.num, w.req.Resume, w.req.Log = o.Num, true, o.Log
	for {
		missed, err := log.Stored(context.Background(), w.req.Seq, 1000, 1<<20)
		if err != nil || len(missed) == 0 {
			return
		}
		for _, o := range missed {
			w.take(o)
		}
	}
}

// take takes an entry.
func (w *walker) take(o *host.Output) {
	if o.Seq <= w.req.Seq {
		return
	}
	if o.Seq != w.req.Seq+1 {
		w.p.t.Errorf("got entry %d after %d", o.Seq, w.req.Seq)
	}
	w.req.Seq = o.Seq
	switch {
	case o.Kind == host.OutputEvent && o.Target.Includes(w.num):
		w.seen = append(w.seen, o.Seq)
	case o.Kind == host.OutputReply && o.Producer == w.req.Producer && o.Call == w.next:
		w.sum++
		w.answered()
	}
}

func (w *walker) answered() { w.next++ }

// call sends the call without an answer, again if it was sent before.
func (w *walker) call(node *runtime.Node) {
	if w.next <= w.calls {
		_ = node.Call(w.ref, host.CallRequest{Attachment: w.req.Attachment, Conn: w.req.Conn, ID: w.next, Action: "add", Args: encodeArgs(w.p.t, []any{1})})
	}
}

// G1 to G5 while owners move and are deposed.
func TestG5_CallsRunOnceAndNothingIsMissedWhileOwnersMove(t *testing.T) {
	onPairs(t, func(t *testing.T, seed uint64) {
		p := newPair(t, ledgers, seed)
		defer p.stop()
		refs := []host.Ref{{Name: "ledger", Key: host.Key{"a"}}, {Name: "ledger", Key: host.Key{"b"}}}
		var walkers []*walker
		var walking sync.WaitGroup
		done := make(chan struct{})
		for i, r := range refs {
			r.ID = host.ActorID(r.Name, r.Key)
			for n := range 3 {
				w := &walker{p: p, ref: r, calls: 150, req: as(fmt.Sprint(i, n))}
				w.req.Create = true
				walkers = append(walkers, w)
				walking.Go(func() { w.walk(done) })
			}
		}
		p.disturb(60, refs...)
		time.Sleep(time.Minute)
		close(done)
		walking.Wait()
		for i, r := range refs {
			sum := 0
			for _, w := range walkers[3*i : 3*i+3] {
				sum += w.sum
			}
			raw, err := p.call(r, "get")
			if err != nil || string(raw) != fmt.Sprint(sum) {
				t.Errorf("the total is %s (%v), want %d, one for each call that was answered", raw, err, sum)
			}
			entries, err := p.mem.Entries(t.Context(), host.ActorID(r.Name, r.Key), 0, 1<<20, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range walkers[3*i : 3*i+3] {
				var want []uint64
				for _, e := range entries {
					if e.Event != "" && e.Seq > w.from {
						want = append(want, e.Seq)
					}
				}
				if !slices.Equal(w.seen, want) {
					t.Errorf("a client saw %d events, want %d: each once, in order", len(w.seen), len(want))
				}
			}
		}
	})
}

// A node answers only for what it owns, and says that it has moved.
func TestANodeRefusesWhatItDoesNotOwn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPair(t, ledgers, 1)
		defer p.stop()
		part := store.Partition(host.ActorID(ledgerRef.Name, ledgerRef.Key))
		owner, other := p.ownerOf(host.ActorID(ledgerRef.Name, ledgerRef.Key)), p.nodes[1-p.owner[part]]
		if _, err := other.Follow(ledgerRef, &reader{}); code(err) != wire.CodeMoved {
			t.Errorf("Follow: got %v, want moved", err)
		}
		if err := other.Open(ledgerRef, asAda); code(err) != wire.CodeMoved {
			t.Errorf("Open: got %v, want moved", err)
		}
		if _, err := other.CallOnce(t.Context(), ledgerRef, host.DirectCall{Action: "get", Create: true}); code(err) != wire.CodeMoved {
			t.Errorf("CallOnce: got %v, want moved", err)
		}
		b := &bench{t: t, node: owner}
		ada := b.open(ledgerRef, asAda)
		advance()
		ada.call(1, "add", 1)
		advance()
		p.give(part)
		if got, want := kinds(ada.read()), "opened added reply:1 closed:moved "; got != want {
			t.Errorf("the client got %q, want %q", got, want)
		}
		if got := owner.Actors(); got != 0 {
			t.Errorf("%d actors are left, want none", got)
		}
		if got, err := p.call(ledgerRef, "get"); string(got) != "1" || err != nil {
			t.Errorf("the new owner says %s, %v, want 1", got, err)
		}
		for _, id := range []string{"t.>", "*", strings.Repeat("a", 21), strings.Repeat("a", 23), "aaaaaaaaaaaaaaaaaaaaa.", "a b"} {
			if err := owner.Open(host.Ref{ID: id}, asAda); code(err) != wire.CodeNotFound {
				t.Errorf("id %q: got %v, want not_found", id, err)
			}
		}
	})
}

// The resume window counts from the adoption: who was the owner before has not told anybody.
func TestG4_ResumeWindowsCountFromTheAdoption(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const window = time.Minute
		p := newPair(t, actor.NewRegistry(ledgerDef, actor.WithOptions(actor.Options{ResumeWindow: window})), 1)
		defer p.stop()
		id := host.ActorID(ledgerRef.Name, ledgerRef.Key)
		part := store.Partition(id)
		b := &bench{t: t, node: p.ownerOf(id)}
		b.open(ledgerRef, asAda)
		advance()
		conns := func() int {
			snap, err := p.mem.Load(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return len(snap.Conns)
		}
		time.Sleep(10 * window)
		p.give(part)
		time.Sleep(window - time.Second)
		if _, err := p.call(ledgerRef, "get"); err != nil { // loads it
			t.Fatal(err)
		}
		if got := conns(); got != 1 {
			t.Fatalf("%d connections a second before the window is over, want 1", got)
		}
		time.Sleep(2 * time.Second)
		if got := conns(); got != 0 {
			t.Errorf("%d connections after the window, want none", got)
		}
	})
}

// lostLedger is a node that loses the partition of ledgerRef while the store holds commits of it.
type lostLedger struct {
	*bench
	held     *storetest.HeldStore
	owned    *storetest.OwnedStore
	ada, bob *reader
	lose     func()
}

func newLostLedger(t *testing.T) *lostLedger {
	l := &lostLedger{held: storetest.Held(memory.New(memory.Options{}))}
	l.held.ReleaseAll()
	l.owned = storetest.Owned(l.held)
	var lost atomic.Bool
	n := runtime.New(ledgers, l.owned, runtime.Options{Logger: slog.New(slog.DiscardHandler), Owns: func(part int) (time.Time, bool) {
		return time.Time{}, part != store.Partition(host.ActorID(ledgerRef.Name, ledgerRef.Key)) || !lost.Load()
	}})
	l.bench = &bench{t: t, node: n}
	l.lose = func() {
		synctest.Wait()
		lost.Store(true)
		runtime.PartitionsOf(n).Reset([]int{store.Partition(host.ActorID(ledgerRef.Name, ledgerRef.Key))})
	}
	l.ada, l.bob = l.open(ledgerRef, asAda), l.open(ledgerRef, asBob)
	advance()
	l.held.HoldAgain()
	t.Cleanup(func() { l.held.ReleaseAll(); _ = n.Shutdown(context.Background()) })
	return l
}

func (l *lostLedger) want(ada, bob string) {
	l.t.Helper()
	l.held.ReleaseAll()
	advance()
	if got := kinds(l.ada.read()); got != ada {
		l.t.Errorf("ada got %q, want %q", got, ada)
	}
	if got := kinds(l.bob.read()); got != bob {
		l.t.Errorf("bob got %q, want %q", got, bob)
	}
}

// A node that has lost a partition and is a valid owner of others again says nothing of what it
// knew.
func TestG10_WhatWaitsAtAResetIsNotAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLostLedger(t)
		l.ada.call(1, "add", 3)
		l.held.Wait(1)
		l.bob.call(1, "get")
		l.lose()
		l.want("opened added reply:3 closed:moved ", "opened added fail:unavailable closed:moved ")
	})
}

// What the store has taken in time is answered as it is, and proves what came before it.
func TestG10_WhatIsStoredAtAResetIsAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLostLedger(t)
		l.open(host.Ref{Name: "ledger", Key: host.Key{"b"}}, asAda)
		l.held.Wait(1) // what follows is in one group
		l.ada.call(1, "add", 3)
		l.bob.call(1, "get")
		l.ada.call(2, "add", 1)
		synctest.Wait()
		l.held.Release(1)
		l.held.Wait(1)
		l.lose()
		l.want("opened added reply:3 added reply:4 closed:moved ", "opened added reply:3 added closed:moved ")
	})
}

// A proof that the node owns something now says nothing of what it had lost meanwhile.
func TestG10_AProofAfterAResetIsNone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLostLedger(t)
		l.owned.Expire()
		l.owned.HoldProofs()
		l.bob.call(1, "get")
		l.lose()
		l.owned.Renew() // as a new incarnation
		l.owned.ReleaseProofs()
		l.want("opened closed:moved ", "opened fail:unavailable closed:moved ")
	})
}

// When a node is gone, so are the sockets of its gateways.
func TestDetachNodeDropsTheConnectionsOfItsGateways(t *testing.T) {
	actorOf := func(b *bench, node uint32, name string) *reader {
		r := b.follow(clubRef, as(name))
		r.req.Attachment.Node = node
		r.open()
		return r
	}
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, clubs)
		ada, _ := actorOf(b, 1, "ada"), actorOf(b, 2, "bob")
		synctest.Wait()
		runtime.PartitionsOf(b.node).DetachNode(2)
		ada.call(1, "online")
		if got, want := kinds(ada.read()[len(ada.got)-1:]), `reply:"ada:true bob:false" `; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
