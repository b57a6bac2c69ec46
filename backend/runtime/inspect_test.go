package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
)

// safe has all that a state can have, with secrets in each part.
type safe struct {
	Title  string                    `json:"title"`
	Pin    string                    `json:"pin" troupe:"secret"`
	Opened int                       `json:"opened"`
	Coins  actor.List[coin]          `json:"coins"`
	Owners actor.Map[string, coin]   `json:"owners"`
	Moves  actor.Table[uint64, coin] `json:"moves"`
	Note   actor.List[string]        `json:"note" troupe:"secret"`
	woken  int
}

type coin struct {
	Value int    `json:"value"`
	Code  string `json:"code" troupe:"secret"`
}

type coined struct {
	Code  string `json:"code" troupe:"secret"`
	Value int    `json:"value"`
}

type safeConn struct {
	Name string `json:"name"`
	Pass string `json:"pass" troupe:"secret"`
}

type safeContext = actor.Context[safeConn]

type safeUser struct{ Name string }

func (u safeUser) Subject() string { return u.Name }

// guest is a safe with an OnAuth.
type guest struct{ N int }

func (*guest) OnAuth(context.Context, *actor.AuthRequest) (safeUser, error) {
	return safeUser{"ada"}, nil
}

func (g guest) Who(c *actor.Context[actor.NoState]) (string, error) {
	return actor.Auth[safeUser](c).Name, nil
}

func (v *safe) OnStart(*safeContext) error {
	v.woken++
	if v.Opened > 1000 {
		return errors.New("opened too often")
	}
	return nil
}

func (*safe) CreateConnState(*actor.ConnectContext, struct{ Name string }) (safeConn, error) {
	return safeConn{"ada", "hush-pass"}, nil
}

func (v *safe) Put(c *safeContext, n int) {
	v.Title, v.Pin = "the safe", "hush-pin"
	v.Coins.Append(coin{n, "hush-coin"})
	v.Owners.Set("ada", coin{n, "hush-owner"})
	v.Moves.Append(coin{n, "hush-move"})
	v.Note.Append("hush-note")
	c.Broadcast(coined{"hush-event", n})
}

func (v safe) Coin(*safeContext) coin { return coin{1, "hush-result"} }

func (v safe) Woken(*safeContext) int { return v.woken }

func (v *safe) OnRestore() {
	if v.Opened < 0 {
		panic("opened is negative")
	}
}

func (v *safe) Fail(*safeContext) error { return actor.Errorf("no_luck", "no luck") }

var (
	safes   = actor.NewRegistry(actor.Define[safe]("safe", actor.Emits[coined]()), actor.Define[guest]("guest"))
	safeRef = host.Ref{Name: "safe", Key: host.Key{"a"}}
	wholeOf = runtime.LookQuery{MaxState: 1 << 20, Conns: 100}
)

func lookAt(t *testing.T, b *bench, id string) *runtime.Look {
	t.Helper()
	l, err := runtime.Inspect(b.node).Look(t.Context(), id, wholeOf)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestInspector_looks: an actor looks the same from memory and from the store, without its
// secrets.
func TestInspector_looks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, safes)
		i := runtime.Inspect(b.node)
		id := host.ActorID(safeRef.Name, safeRef.Key)
		if _, err := i.Look(t.Context(), id, wholeOf); code(err) != "not_found" {
			t.Errorf("before it exists: got %v", err)
		}
		ada := b.open(safeRef, asAda)
		ada.call(1, "put", 7)
		ada.read()
		l := lookAt(t, b, id)
		const state = `{"title":"the safe","pin":"‹secret›","opened":0,"coins":[{"value":7,"code":"‹secret›"}],"owners":{"ada":{"value":7,"code":"‹secret›"}},"note":"‹secret›"}`
		if string(l.State) != state {
			t.Errorf("got the state %s, want %s", l.State, state)
		}
		if !l.Awake || l.Busy || l.Rev != 2 || l.Ref.Name != "safe" || l.ConnCount != 1 || len(l.Tables) != 1 || l.Tables[0].Len != 1 {
			t.Errorf("got %+v", l)
		}
		c := l.Conns[0]
		if !c.Online || c.ID != "conn-ada" || string(c.State) != `{"name":"ada","pass":"‹secret›"}` || c.Params != nil || c.Attachment != ada.req.Attachment {
			t.Errorf("got the connection %+v", c)
		}
		q := wholeOf
		q.Params, q.MaxState = true, 10
		if l, _ = i.Look(t.Context(), id, q); string(l.Conns[0].Params) != `{"name":"ada"}` || l.State != nil || l.StateBytes == 0 {
			t.Errorf("with params and without a state: got %+v", l)
		}
		if q.After = c.Num; len(lookWith(t, i, id, q).Conns) != 0 {
			t.Error("connections after the last one: got some")
		}

		items, err := i.Items(t.Context(), "safe", id, "moves", storeRange(l.Tables[0].ID))
		if err != nil || len(items.Items) != 1 || string(items.Items[0].Value) != `{"value":7,"code":"‹secret›"}` {
			t.Errorf("got items %s and %v", items.Items[0].Value, err)
		}
		tail := i.Tail("safe", id)
		entries, _, err := tail.Next(t.Context(), 100, 1<<10)
		if err != nil || len(entries) == 0 || !masked(entries) {
			t.Errorf("got entries %v and %v", entries, err)
		}

		b.restart()
		l = lookAt(t, b, id)
		if string(l.State) != state || l.Awake || l.ConnCount != 1 || string(l.Conns[0].State) != `{"name":"ada","pass":"‹secret›"}` || len(l.Tables) != 1 {
			t.Errorf("from the store: got %+v", l)
		}
	})
}

// masked reports whether the data of entries has no secret.
func masked(entries []runtime.LogEntry) bool {
	for _, e := range entries {
		if strings.Contains(string(e.Data), "hush") {
			return false
		}
	}
	return true
}

func lookWith(t *testing.T, i *runtime.Inspector, id string, q runtime.LookQuery) *runtime.Look {
	t.Helper()
	l, err := i.Look(t.Context(), id, q)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestInspector_neitherWakesNorKeepsAwake: looking in every way, all the time, an actor goes
// to sleep when it would, and sleeps on.
func TestInspector_neitherWakesNorKeepsAwake(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, safes)
		if _, err := result[any](b, safeRef, "put", 1); err != nil {
			t.Fatal(err)
		}
		id := host.ActorID(safeRef.Name, safeRef.Key)
		i := runtime.Inspect(b.node)
		tail, watch := i.Tail("safe", id), i.WatchTurns(id)
		slept := time.Duration(0)
		for begin := time.Now(); time.Since(begin) < 10*time.Minute; time.Sleep(100 * time.Millisecond) {
			synctest.Wait()
			awake := lookAt(t, b, id).Awake
			if awake != (b.node.Actors() == 1) {
				t.Fatalf("awake %v with %d actors in memory", awake, b.node.Actors())
			}
			if awake && slept > 0 {
				t.Fatal("looking has woken it")
			}
			if !awake && slept == 0 {
				slept = time.Since(begin)
			}
			if _, _, err := tail.Next(t.Context(), 10, 100); err != nil {
				t.Fatal(err)
			}
			watch.After(0)
			i.Awake(runtime.AwakeQuery{Limit: 10})
		}
		watch.Close()
		if slept == 0 {
			t.Fatal("it did not fall asleep")
		}

		b.restart()
		if _, err := result[any](b, safeRef, "put", 1); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for b.node.Actors() > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		if unseen := time.Since(begin); slept > unseen {
			t.Errorf("it slept after %v while somebody looked, else after %v", slept, unseen)
		}
	})
}

// TestInspector_followedOnly: an actor that is only followed has no goroutine, and a look
// starts none.
func TestInspector_followedOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, safes)
		r := &reader{}
		if _, err := b.node.Follow(safeRef, r); err != nil {
			t.Fatal(err)
		}
		id := host.ActorID(safeRef.Name, safeRef.Key)
		if _, err := runtime.Inspect(b.node).Look(t.Context(), id, wholeOf); code(err) != "not_found" {
			t.Errorf("got %v", err)
		}
		b.node.Unfollow(safeRef, r)
		if b.node.Actors() != 0 {
			t.Error("the look has started it")
		}
	})
}

func TestInspector_busy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, slowRegistry)
		ref := host.Ref{Name: "slow", Key: host.Key{"a"}}
		go func() { _, _ = result[int](b, ref, "wait", 500) }()
		time.Sleep(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		i := runtime.Inspect(b.node)
		l, err := i.Look(ctx, host.ActorID(ref.Name, ref.Key), wholeOf)
		if err != nil || !l.Busy || !l.Awake {
			t.Errorf("got %+v and %v, want one that is busy", l, err)
		}
		begin := time.Now()
		if l = lookAt(t, b, l.Ref.ID); l.Busy || time.Since(begin) != 300*time.Millisecond {
			t.Errorf("got %+v after %v, want what is there when its turn ends", l, time.Since(begin))
		}
	})
}

// TestInspector_manyLooks: looks that nobody waits for take no room, and many that somebody
// waits for are not all taken.
func TestInspector_manyLooks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, slowRegistry)
		ref := host.Ref{Name: "slow", Key: host.Key{"a"}}
		go func() { _, _ = result[int](b, ref, "wait", 500) }()
		synctest.Wait()
		i := runtime.Inspect(b.node)
		id := host.ActorID(ref.Name, ref.Key)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 {
			if l, err := i.Look(over, id, wholeOf); err != nil || !l.Busy {
				t.Fatalf("got %+v and %v", l, err)
			}
		}
		seen := make(chan *runtime.Look, 20)
		for range 20 {
			go func() { seen <- lookAt(t, b, id) }()
		}
		synctest.Wait()
		if len(seen) != 4 {
			t.Errorf("%d of 20 looks were answered while the actor was busy, want 4", len(seen))
		}
		for n := range 20 {
			if l := <-seen; l.Busy != (n < 4) {
				t.Errorf("look %d: busy is %v", n, l.Busy)
			}
		}
	})
}

func TestInspector_turns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, safes)
		i := runtime.Inspect(b.node)
		id := host.ActorID(safeRef.Name, safeRef.Key)
		watch := i.WatchTurns(id) // before it is in memory
		ada := b.open(safeRef, asAda)
		ada.call(1, "put", 7)
		ada.call(2, "fail")
		ada.call(3, "coin")
		ada.read()
		turns, n := watch.After(0)
		got := ""
		for _, turn := range turns {
			got += turn.What
			if turn.Conn != "" {
				got += "/" + turn.Conn
			}
			if turn.ReadOnly {
				got += "/reads"
			}
			if turn.Err != nil {
				got += "/" + turn.Err.Code
			}
			got += " "
		}
		if want := "OnStart OnConnect/conn-ada put/conn-ada fail/conn-ada/no_luck coin/conn-ada/reads "; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		other := i.WatchTurns(id)
		watch.Close()
		for k := range 300 {
			ada.call(uint64(4+k), "coin")
			synctest.Wait()
		}
		if turns, m := other.After(n); len(turns) != 200 || m != n+300 {
			t.Errorf("got %d turns and %d, want the newest 200 of %d", len(turns), m, n+300)
		}
		other.Close()
		ada.call(400, "coin")
		ada.read()
		if _, m := other.After(0); m != n+300 {
			t.Error("turns are kept though nobody looks")
		}
	})
}

func TestInspector_tail(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, safes)
		i := runtime.Inspect(b.node)
		id := host.ActorID(safeRef.Name, safeRef.Key)
		put := func(n int) {
			t.Helper()
			for range n {
				if _, err := result[any](b, safeRef, "put", 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		seqs := func(tail *runtime.LogTail, limit int) string {
			t.Helper()
			entries, skipped, err := tail.Next(t.Context(), limit, 100)
			if err != nil {
				t.Fatal(err)
			}
			s := ""
			for _, e := range entries {
				if e.Numbered {
					s += fmt.Sprint(e.Seq, " ")
				}
			}
			return fmt.Sprint(s, skipped)
		}
		put(5)
		tail := i.Tail("safe", id)
		check := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: got %s, want %s", what, got, want)
			}
		}
		check("the end", seqs(tail, 6), "3 4 5 0")
		check("nothing new", seqs(tail, 6), "0")
		put(1)
		check("a new one", seqs(tail, 6), "6 0")
		put(10)
		check("too many", seqs(tail, 6), "14 15 16 14")
		b.sleep()
		check("asleep", seqs(tail, 6), "0")
		check("from the store", seqs(i.Tail("safe", id), 3), "14 15 16 0")
		put(1)
		check("awake again", seqs(tail, 6), "17 0")
		check("from both", seqs(i.Tail("safe", id), 5), "14 15 16 17 0")
	})
}

// sleep waits until no actor is in memory.
func (b *bench) sleep() {
	b.t.Helper()
	for begin := time.Now(); b.node.Actors() > 0; time.Sleep(time.Second) {
		if time.Since(begin) > time.Hour {
			b.t.Fatal("an actor does not fall asleep")
		}
	}
}

func TestInspector_awake(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, safes)
		for k := range 20 {
			ref := host.Ref{Name: "safe", Key: host.Key{"team", fmt.Sprintf("%02d", k)}}
			for range 20 - k {
				if _, err := result[any](b, ref, "put", 1); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Millisecond)
		}
		b.open(host.Ref{Name: "safe", Key: host.Key{"team", "07"}}, asAda).read()
		i := runtime.Inspect(b.node)
		for _, test := range []struct {
			q    runtime.AwakeQuery
			want string
		}{
			{runtime.AwakeQuery{By: runtime.ByKey, Offset: 2, Limit: 2}, "02 03 20"},
			{runtime.AwakeQuery{By: runtime.ByBytes, Limit: 2}, "00 01 20"},
			{runtime.AwakeQuery{By: runtime.ByConns, Limit: 1}, "07 20"},
			{runtime.AwakeQuery{By: runtime.ByUsed, Limit: 2}, "07 19 20"},
			{runtime.AwakeQuery{Name: "guest", Limit: 2}, "0"},
			{runtime.AwakeQuery{Prefix: []string{"team", "1"}, Limit: 2}, "10 11 10"},
			{runtime.AwakeQuery{Prefix: []string{"te"}, Limit: 1, Offset: 19}, "19 20"},
			{runtime.AwakeQuery{Prefix: []string{"te", "10"}, Limit: 1}, "0"},
			{runtime.AwakeQuery{Limit: 1, Offset: 100}, "20"},
		} {
			page, total := i.Awake(test.q)
			got := ""
			for _, a := range page {
				got += a.Ref.Key[1] + " "
			}
			if got += fmt.Sprint(total); got != test.want {
				t.Errorf("%+v: got %s, want %s", test.q, got, test.want)
			}
		}
	})
}

func storeRange(table int) store.ItemRange { return store.ItemRange{Table: table, Limit: 10} }
