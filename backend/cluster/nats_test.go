package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/jetstream"
)

// natsServer starts a nats-server in this process.
func natsServer(t *testing.T) *server.Server {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 8 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s
}

// natsNode is a member with a store in JetStream.
type natsNode struct {
	nc     *nats.Conn
	store  *jetStore
	member *member
	kill   context.CancelFunc
	done   chan error
}

const natsLease = 3 * time.Second // a busy machine stands still for shorter

func startNATSNode(t *testing.T, s *server.Server, name string) *natsNode {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	nc, err := jetstream.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	n := &natsNode{nc: nc, done: make(chan error, 1)}
	n.store = &jetStore{nc: nc, options: jetstream.Options{Replicas: 1, Timeout: 2 * time.Second, Logger: log}}
	o := options{Node: testNode(name, 1), Lease: natsLease, Window: time.Minute, Logger: log}
	n.member = newMember(o, n.store, newFakeActors(), &natsRegister{js: js, stream: "TROUPE_T", subject: "t.t.table"}, &natsBus{nc, "t", log})
	ctx, cancel := context.WithCancel(context.Background())
	n.kill = cancel
	go func() { n.done <- n.member.run(ctx) }()
	return n
}

// awaitOwners waits until nodes own all partitions, about the same number each.
func awaitOwners(t *testing.T, nodes ...*natsNode) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		owned, even := 0, true
		for _, n := range nodes {
			before := owned
			for part := range store.Partitions {
				if _, ok := n.member.owns(part); ok && n.store.Valid() {
					owned++
				}
			}
			even = even && owned-before >= store.Partitions/len(nodes)
		}
		if owned == store.Partitions && even {
			return time.Since(began)
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%d of %d partitions have an owner", owned, store.Partitions)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ownerOf returns the node that owns an actor, which all nodes know.
func ownerOf(t *testing.T, actor string, nodes ...*natsNode) *natsNode {
	t.Helper()
	for _, n := range nodes {
		owner, self := n.member.Owner(store.Partition(actor))
		if !n.member.Alive(owner) && owner != 0 {
			t.Errorf("the owner %d is not alive", owner)
		}
		if owner == self {
			n.member.Await(t.Context(), store.Partition(actor), 0)
			return n
		}
	}
	t.Fatalf("nobody owns %s", actor)
	return nil
}

// TestMembersOnNATS lets nodes with real stores die and leave. What was acknowledged is there at
// the next owner.
func TestMembersOnNATS(t *testing.T) {
	t.Parallel() // it waits for a lease
	s := natsServer(t)
	a, b, c := startNATSNode(t, s, "a"), startNATSNode(t, s, "b"), startNATSNode(t, s, "c")
	awaitOwners(t, a, b, c)
	const actor = "AAAAAAAAAAAAAAAAAAAAAA"
	commit := func(rev uint64, nodes ...*natsNode) *natsNode {
		t.Helper()
		n := ownerOf(t, actor, nodes...)
		of := n.store.store()
		snapshot, err := of.Load(t.Context(), actor)
		if rev == 1 && !errors.Is(err, store.ErrNotFound) || rev > 1 && (err != nil || snapshot.Rev != rev-1) {
			t.Fatalf("loaded %+v, %v; want revision %d", snapshot, err, rev-1)
		}
		one := &store.Commit{Actor: actor, Name: "chat", Key: []string{"k"}, Log: "log", Time: time.Now(), Rev: rev, State: json.RawMessage(`{"n":1}`)}
		if err := errors.Join(of.Commit(t.Context(), []*store.Commit{one})...); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := commit(1, a, b, c)
	first.kill() // its connection stays, but nothing renews its lease
	defer first.nc.Close()
	if err := <-first.done; !errors.Is(err, context.Canceled) {
		t.Errorf("a node that was killed has ended with %v", err)
	}
	var rest []*natsNode
	for _, n := range []*natsNode{a, b, c} {
		if n != first {
			rest = append(rest, n)
		}
	}
	t.Logf("after a death others own all after %v, with a lease of %v", awaitOwners(t, rest...), natsLease)
	checkMetrics(t, rest)

	second := commit(2, rest...)
	third := rest[0]
	if third == second {
		third = rest[1]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	began := time.Now()
	if err := second.member.leave(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("leaving took %v, others own all %v later", time.Since(began), awaitOwners(t, third))
	commit(3, third)
	if since, _ := third.member.owns(store.Partition(actor)); !strings.Contains(since.String(), "m=") {
		t.Errorf("the partition is owned since %v, which changes with a clock that is set", since)
	}
	if err := third.member.leave(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*natsNode{second, third} {
		if err := <-n.done; err != nil {
			t.Error(err)
		}
		n.nc.Close()
	}

	again := startNATSNode(t, s, "a")
	awaitOwners(t, again)
	commit(4, again)
	if err := again.member.leave(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-again.done; err != nil {
		t.Error(err)
	}
	again.nc.Close()
}

// TestAJournalThatWasEndedHasOneSeal ends a journal again after a try with an unknown outcome.
func TestAJournalThatWasEndedHasOneSeal(t *testing.T) {
	s := natsServer(t)
	nc, err := jetstream.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	of := &jetStore{nc: nc, options: jetstream.Options{Replicas: 1, Timeout: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)}}
	inc, err := of.Begin(t.Context(), natsLease)
	if err != nil {
		t.Fatal(err)
	}
	none, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := of.SealOwn(none); err == nil {
		t.Error("it was ended without a server's answer")
	}
	for range 2 {
		seal, err := of.SealOwn(t.Context())
		last, lastErr := of.LastOf(t.Context(), inc)
		if seen, err := of.store().LastSeen(t.Context(), inc); err != nil || Written(seen) != last {
			t.Errorf("the only server has seen %+v, %v; want %+v", seen, err, last)
		}
		if err != nil || lastErr != nil || seal == 0 || seal != last.Seq || !last.Sealed {
			t.Errorf("the seal is %d, %v; the newest message %+v, %v", seal, err, last, lastErr)
		}
	}
	if err := of.Prove(t.Context()); !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v for a message after the seal", err)
	}
	select {
	case <-of.Deposed():
		t.Error("the node takes its own seal for another node's")
	default:
	}
	of.Abandon()
}

// commitEntry commits a revision of an actor that has one entry.
func commitEntry(t *testing.T, s *jetStore, actor string, rev uint64) {
	t.Helper()
	one := &store.Commit{
		Actor: actor, Name: "chat", Key: []string{"k"}, Log: "log", Time: time.Now(), Rev: rev, State: fmt.Append(nil, rev), NextConn: 1,
		Entries: []store.Entry{{Seq: rev, Event: "said", Data: json.RawMessage(fmt.Sprint(rev))}},
	}
	if err := errors.Join(s.store().Commit(t.Context(), []*store.Commit{one})...); err != nil {
		t.Fatal(err)
	}
}

// TestG3_EntriesOfAnOwnerInBetween: a node dies, another one takes a partition over, and gives it
// away before it has said that it has saved what the dead one's journal has. The third one has the
// entries of all.
func TestG3_EntriesOfAnOwnerInBetween(t *testing.T) {
	server, actor := natsServer(t), "actor00000000000000001"
	parts := []int{store.Partition(actor)}
	var stores []*jetStore
	for range 3 {
		nc, err := jetstream.Connect(server.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		s := &jetStore{nc: nc, options: jetstream.Options{Replicas: 1, Timeout: 5 * time.Second, Logger: slog.New(slog.DiscardHandler)}}
		if _, err := s.Begin(t.Context(), natsLease); err != nil {
			t.Fatal(err)
		}
		defer s.Abandon()
		stores = append(stores, s)
	}
	dead, between, last := stores[0], stores[1], stores[2]
	adopt := func(s *jetStore, debts, past []Journal) {
		t.Helper()
		if err := s.Adopt(t.Context(), parts, debts, past); err != nil {
			t.Fatal(err)
		}
	}
	adopt(dead, nil, nil)
	commitEntry(t, dead, actor, 1)
	commitEntry(t, dead, actor, 2)
	seal, err := dead.SealOwn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	debts := []Journal{{Inc: dead.store().Incarnation(), Seal: seal}}
	adopt(between, debts, debts)
	if _, err := between.store().Load(t.Context(), actor); err != nil {
		t.Fatal(err)
	}
	commitEntry(t, between, actor, 3)
	if _, err := between.Release(t.Context(), parts); err != nil {
		t.Fatal(err)
	}
	adopt(last, debts, append([]Journal{{Inc: between.store().Incarnation()}}, debts...))
	if _, err := last.store().Load(t.Context(), actor); err != nil {
		t.Fatal(err)
	}
	commitEntry(t, last, actor, 4)
	entries, err := last.store().Entries(t.Context(), actor, 0, 10, 1<<20)
	if err != nil || len(entries) != 4 || entries[0].Seq != 1 || entries[3].Seq != 4 {
		t.Errorf("got the entries %v, error %v, want 1 to 4", entries, err)
	}
}

// TestG3_EntriesComeBack gives partitions to a node that joins, and gets them back when it
// leaves: the entries of both nodes are there, and no messages are in doubt.
func TestG3_EntriesComeBack(t *testing.T) {
	s := natsServer(t)
	a := startNATSNode(t, s, "a")
	awaitOwners(t, a)
	commit := func(n *natsNode, actor string, rev uint64) { t.Helper(); commitEntry(t, n.store, actor, rev) }
	const actors = 40
	id := func(i int) string { return fmt.Sprintf("actor%017d", i) }
	for i := range actors {
		commit(a, id(i), 1)
	}
	b := startNATSNode(t, s, "b")
	awaitOwners(t, a, b)
	moved := 0
	for i := range actors {
		n := ownerOf(t, id(i), a, b)
		if n == b {
			moved++
		}
		commit(n, id(i), 2)
	}
	if moved == 0 || moved == actors {
		t.Fatalf("%d of %d actors have moved", moved, actors)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.member.leave(ctx); err != nil {
		t.Fatal(err)
	}
	awaitOwners(t, a)
	of := a.store.store()
	for i := range actors {
		entries, err := of.Entries(t.Context(), id(i), 0, 10, 1<<20)
		if err != nil || len(entries) != 2 || entries[0].Seq != 1 || entries[1].Seq != 2 {
			t.Errorf("%s: got the entries %v, error %v, want those of both nodes", id(i), entries, err)
		}
		commit(a, id(i), 3)
	}
	if of.Unclean() {
		t.Error("no node was killed: the store is unclean")
	}
	if err := a.member.leave(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*natsNode{a, b} {
		if err := <-n.done; err != nil {
			t.Error(err)
		}
		n.nc.Close()
	}
}

// said passes on what is logged.
type said chan string

func (s said) Write(b []byte) (int, error) {
	select {
	case s <- string(b):
	default:
	}
	return len(b), nil
}

// TestWhyThereIsNoConnection: the log says why external servers cannot be reached.
func TestWhyThereIsNoConnection(t *testing.T) {
	lines := make(said, 100)
	nc, err := connect(Options{Node: "n", URL: "nats://127.0.0.1:1", Logger: slog.New(slog.NewTextHandler(lines, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for late := time.After(time.Minute); ; {
		select {
		case line := <-lines:
			if strings.Contains(line, "cannot connect to NATS") && strings.Contains(line, "refused") {
				return
			}
		case <-late:
			t.Fatal("it is not said within a minute")
		}
	}
}
