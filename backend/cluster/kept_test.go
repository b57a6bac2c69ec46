package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/jetstream"
)

// damage damages what is stored of a partition of a node that is to give it away when another
// joins, and returns the partition.
func (w *world) damage(t *testing.T, of, next string) (part int) {
	t.Helper()
	table, slot := w.process(of).member.table()
	table = table.clone()
	if err := table.join(testNode(next, 1)); err != nil {
		t.Fatal(err)
	}
	for part := range 24 { // those of which there are commits
		if table.Owner[part] == slot && table.Want[part] != slot {
			w.setDamaged(part, 1)
			return part
		}
	}
	t.Fatal("it keeps all")
	return 0
}

// setDamaged sets fakeServers.damaged, and returns what it was.
func (w *world) setDamaged(part, to int) (was int) {
	w.servers.mu.Lock()
	defer w.servers.mu.Unlock()
	was, w.servers.damaged[part] = w.servers.damaged[part], to
	return was
}

// owns reports whether a node has a partition.
func (w *world) owns(name string, part int) bool {
	_, ok := w.process(name).member.owns(part)
	return ok
}

// A partition that cannot be saved stays where it is, and is served: those that move with it
// move, and it does when it can be saved.
func TestADamagedPartitionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a", "b")
		part := w.damage(t, "a", "c")
		w.start("c")
		began := time.Now()
		var without [store.Partitions]time.Duration
		for time.Since(began) < keepFor/6 {
			time.Sleep(5 * time.Millisecond)
			for p := range without {
				if !slices.ContainsFunc(w.running(), func(of *process) bool { return w.owns(of.name, p) }) {
					without[p] += 5 * time.Millisecond
				}
			}
		}
		if longest := slices.Max(without[:]); longest > time.Second {
			t.Errorf("a partition was without an owner for %v", longest)
		}
		table, c := w.process("c").member.table()
		if got, want := len(table.owned(c)), store.Partitions/3-1; got < want {
			t.Errorf("the new node has %d partitions, want %d", got, want)
		}
		if tries := w.setDamaged(part, 1) - 1; tries != 1 || !w.owns("a", part) {
			t.Errorf("it was tried %d times to give partition %d away, and its node has it: %t", tries, part, w.owns("a", part))
		}
		time.Sleep(keepFor)
		if tries := w.setDamaged(part, 0) - 1; tries != 1 {
			t.Errorf("it was tried %d times in the minute after that, want once", tries)
		}
		time.Sleep(keepFor + 20*time.Second)
		if !w.owns("c", part) {
			t.Error("a partition that can be saved again has not moved")
		}
	})
}

// A node leaves without waiting for a partition that it cannot save. Others read its journal,
// which stays until the partition is saved.
func TestG4_ADamagedPartitionIsOwedByWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a", "b")
		table, a := w.process("a").member.table()
		part := table.owned(a)[0]
		w.setDamaged(part, 1)
		time.Sleep(5 * time.Second) // there are commits
		began := time.Now()
		w.stop(w.process("a"), true)
		if took := time.Since(began); took > takenFor+2*time.Second {
			t.Errorf("it took %v to leave", took)
		}
		if took := w.without(t); took > time.Second {
			t.Errorf("it took %v until the other node had all partitions", took)
		}
		owes := func() bool {
			table, _ := w.process("b").member.table()
			return slices.Contains(table.Debts[a], part)
		}
		w.servers.mu.Lock()
		acked, saved := w.servers.acked[part], w.servers.saved[part]
		w.servers.mu.Unlock()
		if time.Sleep(2 * simWindow); !owes() || acked <= saved {
			t.Errorf("commit %d was acknowledged and %d is saved; the journal is needed: %t", acked, saved, owes())
		}
		w.setDamaged(part, 0)
		if time.Sleep(20 * time.Second); owes() {
			t.Error("the journal is still needed when all is saved")
		}
	})
}

// commitItems commits a revision of an actor with a table of which pages are stored.
func commitItems(t *testing.T, s *jetStore, actor string, rev uint64) {
	t.Helper()
	c := &store.Commit{Actor: actor, Name: "board", Key: []string{"k"}, Log: "log", Time: time.Now(), Rev: rev, NextConn: 1}
	if c.Tables = []store.Table{{ID: 1, Field: "posts"}}; rev == 1 {
		c.State = []byte("{}")
	}
	for i := range 20 {
		value := fmt.Sprintf(`"%d %s"`, rev, strings.Repeat("v", 8<<10))
		c.Items = append(c.Items, store.ItemEdit{Table: 1, Key: fmt.Appendf(nil, "%06d", i), Value: []byte(value)})
	}
	if err := errors.Join(s.store().Commit(t.Context(), []*store.Commit{c})...); err != nil {
		t.Fatal(err)
	}
}

// The store gives all partitions away but those of which an actor is damaged.
func TestG10_TheStoreKeepsWhatItCannotSave(t *testing.T) {
	nc, err := jetstream.Connect(natsServer(t).ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s := &jetStore{nc: nc, options: jetstream.Options{Replicas: 1, Timeout: 5 * time.Second, Logger: slog.New(slog.DiscardHandler)}}
	if _, err := s.Begin(t.Context(), natsLease); err != nil {
		t.Fatal(err)
	}
	defer s.Abandon()
	const bad, good = "actor00000000000000001", "actor00000000000000002"
	parts := []int{store.Partition(bad), store.Partition(good)}
	if err := s.Adopt(t.Context(), parts, nil, nil); err != nil {
		t.Fatal(err)
	}
	commitItems(t, s, bad, 1)
	if kept, err := s.Release(t.Context(), parts); err != nil || len(kept) > 0 {
		t.Fatalf("got %v and error %v, want that all is saved", kept, err)
	}
	if err := s.Adopt(t.Context(), parts, nil, nil); err != nil {
		t.Fatal(err)
	}
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := js.StreamNameBySubject(t.Context(), "t.i.>")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), pages)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), natsjs.WithSubjectFilter("t.i.>"))
	if err != nil || len(info.State.Subjects) == 0 {
		t.Fatalf("got %+v and error %v, want pages", info, err)
	}
	for subject := range info.State.Subjects {
		if _, err := js.Publish(t.Context(), subject, []byte("\x01 damaged")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.store().Load(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	commitItems(t, s, bad, 2)
	commitEntry(t, s, good, 1)
	for range 2 {
		if kept, err := s.Release(t.Context(), parts); err != nil || !slices.Equal(kept, parts[:1]) {
			t.Fatalf("got %v and error %v, want %v", kept, err, parts[:1])
		}
	}
	if got, err := s.store().Load(t.Context(), bad); err != nil || got.Rev != 2 {
		t.Errorf("got %+v and error %v of what was kept, want revision 2", got, err)
	}
	if _, err := s.store().Load(t.Context(), good); !errors.Is(err, store.ErrConflict) {
		t.Errorf("got error %v of what was given away", err)
	}
}

// TestLeavingWithoutTimeToSave has a node leave that cannot save its actors, one of which has a turn
// that does not end. When its time is over it ends its journal, so that others, who read them there,
// wait for no lease.
func TestLeavingWithoutTimeToSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a", "b")
		b := w.process("b")
		b.store.giving = func() error { return errors.New("it takes too long") }
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := b.member.give(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("giving the partitions away: got %v, want that the time is over", err)
		}
		table, slot := b.member.table()
		owned := table.owned(slot)
		busy := b.actors.turns[owned[len(owned)-1]] // not of those that it tries to give away
		busy <- struct{}{}
		defer func() { <-busy }()
		const serverHas = 3 * time.Second // clusterTimeout of the package server
		ctx, cancel = context.WithTimeout(context.Background(), serverHas)
		defer cancel()
		if err := b.member.finish(ctx); err != nil {
			t.Fatalf("the node has not left: %v", err)
		}
		if took := w.without(t); took > simLease/2 {
			t.Errorf("it took %v until another node had the partitions", took)
		}
	})
}
