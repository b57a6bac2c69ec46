package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// wallet is an actor that sends money to others: a transfer leaves its state in the commit
// that has the message, and reaches the receiver's in the commit that has the sender's mark.
type wallet struct {
	mu    sync.Mutex
	id    string
	s     *Store
	rev   uint64
	money int
	order uint64
}

func (w *wallet) commit(t *testing.T, change func(c *store.Commit)) {
	w.rev++
	c := &store.Commit{Actor: w.id, Name: "wallet", Log: "log", Rev: w.rev, Time: time.UnixMilli(int64(w.rev)), NextConn: 1, Tables: []store.Table{{ID: 1, Field: "transfers"}}}
	change(c)
	c.State = fmt.Append(nil, w.money)
	if errs := w.s.Commit(context.Background(), []*store.Commit{c}); errs != nil {
		t.Error(errs)
	}
}

func transfer(t *testing.T, from, to *wallet, amount int) {
	from.mu.Lock()
	defer from.mu.Unlock()
	from.order++
	id := from.order
	from.commit(t, func(c *store.Commit) {
		from.money -= amount
		c.NextMessage = id
		c.Messages = []store.Message{{ID: id, Order: id, To: to.id, Type: "Credit", Data: json.RawMessage(fmt.Sprint(amount))}}
	})
	to.mu.Lock()
	to.commit(t, func(c *store.Commit) {
		to.money += amount
		c.Senders = []store.Sender{{ID: from.id, Born: 1, Highest: id}}
		c.Items = []store.ItemEdit{{Table: 1, Key: []byte(from.id), Value: fmt.Append(nil, id)}}
	})
	to.mu.Unlock()
	from.commit(t, func(c *store.Commit) { c.GoneMessages = []uint64{id} })
}

// TestBackup_Transfers backs up two nodes while actors on them send money to each other and
// their journals are trimmed: in the restored store, no money is lost or made.
func TestBackup_Transfers(t *testing.T) {
	o := quiet
	o.MaxBytes, o.Retention, o.tick = 1<<20, time.Millisecond, 20*time.Millisecond
	p := oneServer(t).newPlace(o)
	t.Cleanup(func() { p.remove(t) })
	nodes := []*Store{p.open(t), p.open(t)}
	var parts [2][]int
	for i := range store.Partitions {
		parts[i%2] = append(parts[i%2], i)
	}
	for i, s := range nodes {
		if err := s.Adopt(t.Context(), parts[i], nil); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := nodes[0].Secret(t.Context(), "session.key", func() []byte { return []byte("secret") })
	if err != nil {
		t.Fatal(err)
	}
	const start = 1000
	var wallets []*wallet
	for i := range 12 {
		w := &wallet{id: fmt.Sprint("wallet", i), money: start}
		w.s = nodes[store.Partition(w.id)%2]
		w.commit(t, func(*store.Commit) {})
		wallets = append(wallets, w)
	}
	// So many transfers in each round: a backup cannot end while actors' commits are trimmed
	// faster than it reads their heads.
	transfers := make(chan struct{}, 6000)
	var sending sync.WaitGroup
	for i := range 4 {
		sending.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range transfers {
				a := r.IntN(len(wallets) - 1) // locks are taken in order
				transfer(t, wallets[a], wallets[a+1+r.IntN(len(wallets)-1-a)], r.IntN(100))
			}
		})
	}
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		for range rand.IntN(2000) {
			select {
			case transfers <- struct{}{}:
			default: // there are enough left of the last round
			}
		}
		checkBackup(t, p, wallets, start*len(wallets), secret)
	}
	close(transfers)
	sending.Wait()
}

func checkBackup(t *testing.T, p place, wallets []*wallet, total int, secret []byte) {
	t.Helper()
	dir := t.TempDir()
	made, err := sqlite.Open(t.Context(), filepath.Join(dir, "made"), sqlite.Options{Logger: quiet.Logger})
	if err != nil {
		t.Fatal(err)
	}
	if err := Backup(t.Context(), p.connect(t), p.Options, made); err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "backup")
	if err := sqlite.Backup(t.Context(), filepath.Join(dir, "made"), file); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Restore(t.Context(), filepath.Join(dir, "data"), file); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "data"), sqlite.Options{Logger: quiet.Logger})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() // it only reads
	if got, err := s.Secret(t.Context(), "session.key", func() []byte { return []byte("another") }); err != nil || string(got) != string(secret) {
		t.Errorf("the secret is %q, want %q, error %v", got, secret, err)
	}
	marks, sent := map[string]uint64{}, map[string]store.Message{}
	sum := 0
	for _, w := range wallets {
		snapshot, err := s.Load(t.Context(), w.id)
		if err != nil {
			t.Fatal(err)
		}
		var money int
		if err := json.Unmarshal(snapshot.State, &money); err != nil {
			t.Fatal(err)
		}
		sum += money
		for _, m := range snapshot.Messages {
			sent[fmt.Sprint(w.id, " ", m.To, " ", m.Order)] = m
		}
		for _, from := range snapshot.Senders {
			marks[from.ID+" "+w.id] = from.Highest
		}
		page, err := s.Items(t.Context(), w.id, store.ItemRange{Table: 1, Limit: 1 << 20, MaxBytes: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			if mark := marks[string(i.Key)+" "+w.id]; string(i.Value) != fmt.Sprint(mark) {
				t.Errorf("the newest transfer from %s to %s is %s in the table, %d of the sender", i.Key, w.id, i.Value, mark)
			}
		}
		if len(page.Items) != len(snapshot.Senders) {
			t.Errorf("%s has %d items and %d senders", w.id, len(page.Items), len(snapshot.Senders))
		}
	}
	for key, m := range sent {
		var from, to string
		var order uint64
		if _, err := fmt.Sscan(key, &from, &to, &order); err != nil {
			t.Fatal(err)
		}
		var amount int
		if err := json.Unmarshal(m.Data, &amount); err != nil {
			t.Fatal(err)
		}
		if order > marks[from+" "+to] {
			sum += amount
		}
	}
	t.Logf("%d messages on their way", len(sent))
	if sum != total {
		t.Errorf("the restored store has %d, want %d", sum, total)
	}
}

// Large heads are asked for a few at a time: a server does not send much more than it may have
// under way. Those that have grown since they were listed are read alone.
func TestBackup_large(t *testing.T) {
	o := quiet
	o.tick, o.Timeout = time.Hour, 10*time.Second
	p := oneServer(t).newPlace(o)
	t.Cleanup(func() { p.remove(t) })
	s := p.takeOver(t)
	var actors []string
	for i := range 9 {
		c := commitOf(fmt.Sprint("large", i), 1)
		c.State = []byte(`"` + strings.Repeat("y", headBytes/3) + `"`)
		commit(t, s, c)
		actors = append(actors, c.Actor)
	}
	if err := s.keeper.saveDirty(t.Context()); err != nil {
		t.Fatal(err)
	}
	barrier, err := s.heads.writeBarrier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found, err := s.heads.newestOf(t.Context(), actors, barrier); err != nil || len(found) > 0 {
		t.Errorf("%d heads that have grown are read at once, error %v", len(found), err)
	}
	if found, err := s.heads.newestOf(t.Context(), actors[:2], barrier); err != nil || len(found) != 2 {
		t.Errorf("%d of 2 heads are read at once, error %v", len(found), err)
	}

	nc := p.connect(t)
	watch, err := nc.SubscribeSync("$JS.API.DIRECT.GET." + s.state)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	made, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "made"), sqlite.Options{Logger: quiet.Logger})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close() // it is thrown away
	if err := Backup(t.Context(), nc, p.Options, made); err != nil {
		t.Fatal(err)
	}
	for _, actor := range actors {
		if got, err := made.Load(t.Context(), actor); err != nil || len(got.State) != headBytes/3+2 {
			t.Errorf("%s in the backup: %v", actor, err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	requests := 0
	for n, _, _ := watch.Pending(); n > 0; n-- {
		m, err := watch.NextMsg(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var asked struct {
			Subjects []string `json:"multi_last"`
		}
		if err := json.Unmarshal(m.Data, &asked); err != nil || len(asked.Subjects) > 3 { // two heads and the barrier
			t.Errorf("the request %s: %v", m.Data, err)
		}
		requests++
	}
	if requests < 5 {
		t.Errorf("%d requests for %d heads", requests, len(actors))
	}
}
