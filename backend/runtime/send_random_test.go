package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

var sendRuns = flag.Int("runtime.runs", 25, "how many seeds the random tests of messages have")

// wallet sends money to other wallets.
type wallet struct {
	Balance  int            `json:"balance"`
	Sent     map[string]int `json:"sent"`     // how many, by receiver
	Received map[string]int `json:"received"` // the number of the last one, by sender
	Disorder int            `json:"disorder"` // how many came in another order than that in which they were sent
}

// credit is what it sends.
type credit struct {
	From   string `json:"from"`
	N      int    `json:"n"`
	Amount int    `json:"amount"`
}

var creditRuns counts // of the handler, by receiver

func (w *wallet) Give(c *nothing, to string, amount int) {
	if w.Sent == nil {
		w.Sent = map[string]int{}
	}
	w.Balance -= amount
	w.Sent[to]++
	c.Send(actor.Of("wallet", to), credit{c.Key()[0], w.Sent[to], amount})
}

func (w *wallet) credit(c *nothing, m credit) error {
	if w.Received == nil {
		w.Received = map[string]int{}
	}
	if w.Received[m.From]+1 != m.N {
		w.Disorder++
	}
	w.Received[m.From] = m.N
	w.Balance += m.Amount
	switch creditRuns.add(c.Key()[0]) % 7 {
	case 3:
		return errors.New("now and then it fails")
	case 5:
		panic("or panics")
	}
	return nil
}

func (w wallet) Get(*nothing) wallet { return w }

func wallets() *actor.Registry {
	return actor.NewRegistry(actor.Define[wallet]("wallet", actor.Handles((*wallet).credit)))
}

// unreliable is a store of which commits fail.
type unreliable struct {
	store.Store
	chance func(n int) int
	bad    atomic.Bool
}

// luck is chance with a seed, for several goroutines.
type luck struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newLuck(seed, stream uint64) *luck { return &luck{r: rand.New(rand.NewPCG(seed, stream))} }

func (l *luck) IntN(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.IntN(n)
}

func (s *unreliable) Immediate() bool { return false }

func (s *unreliable) Commit(ctx context.Context, group []*store.Commit) []error {
	time.Sleep(time.Millisecond)
	errs := make([]error, len(group))
	for i := range group {
		how := 3
		if s.bad.Load() {
			how = s.chance(8)
		}
		switch how {
		case 0:
			errs[i] = store.ErrFull
		case 1:
			errs[i] = store.ErrUnknown // it is not kept
		case 2:
			s.commit(ctx, group[i])
			errs[i] = store.ErrUnknown // it is kept
		default:
			errs[i] = s.commit(ctx, group[i])
		}
	}
	return errs
}

func (s *unreliable) commit(ctx context.Context, c *store.Commit) error {
	if errs := s.Store.Commit(ctx, []*store.Commit{c}); errs != nil {
		return errs[0]
	}
	return nil
}

// bank is a node with wallets on a store.
type bank struct {
	t       *testing.T
	seed    uint64
	chance  *luck
	dir     string // empty for the memory store
	open    func() store.Store
	options func() (*actor.Registry, runtime.Options)
	store   *unreliable
	node    *runtime.Node
	current atomic.Pointer[runtime.Node] // node, for other goroutines
	want    map[string]int               // balances
	resets  uint64
}

// onBanks runs f with seeds, on each store.
func onBanks(t *testing.T, f func(b *bank)) {
	t.Helper()
	onStores(t, func(t *testing.T, open func() store.Store, dir string, seed uint64) {
		b := &bank{t: t, seed: seed, chance: newLuck(seed, 2), open: open, dir: dir, want: map[string]int{}}
		b.options = func() (*actor.Registry, runtime.Options) { return wallets(), runtime.Options{} }
		b.start()
		f(b)
		b.stop()
	})
}

// onStores runs f in a bubble with seeds, on each store. dir is empty for the one in memory.
func onStores(t *testing.T, f func(t *testing.T, open func() store.Store, dir string, seed uint64)) {
	t.Helper()
	runs := *sendRuns
	if testing.Short() {
		runs = min(runs, 4)
	}
	for _, kind := range []string{"memory", "sqlite"} {
		t.Run(kind, func(t *testing.T) {
			for seed := range uint64(runs) {
				inBubble(t, func(t *testing.T) {
					if kind == "sqlite" {
						dir := t.TempDir()
						f(t, func() store.Store { return openSQLite(t, dir) }, dir, seed)
						return
					}
					s := memory.New(memory.Options{})
					f(t, func() store.Store { return s }, "", seed)
				})
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func openSQLite(t *testing.T, dir string) store.Store {
	s, err := sqlite.Open(context.Background(), dir, sqlite.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b *bank) start() {
	registry, o := b.options()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	bad := b.store != nil && b.store.bad.Load()
	b.store = &unreliable{Store: b.open(), chance: b.chance.IntN}
	b.store.bad.Store(bad)
	b.node = runtime.New(registry, b.store, o)
	b.current.Store(b.node)
}

func (b *bank) stop() {
	b.resets += b.node.Stats().Resets
	if err := b.node.Shutdown(context.Background()); err != nil {
		b.t.Error(err)
	}
	if b.dir != "" {
		if err := b.store.Close(); err != nil {
			b.t.Error(err)
		}
	}
}

// restart replaces the node.
func (b *bank) restart() {
	b.stop()
	b.start()
}

// call calls an action of an actor and decodes its result.
func (b *bank) call(result any, name, key, action string, args ...any) error {
	r := host.DirectCall{Create: true, Action: action}
	for _, a := range args {
		r.Args = append(r.Args, []byte(marshal(b.t, a)))
	}
	raw, err := b.node.CallOnce(context.Background(), host.Ref{Name: name, Key: host.Key{key}}, r)
	if err == nil && result != nil {
		err = json.Unmarshal(raw, result)
	}
	return err
}

// give makes a transfer between two wallets.
func (b *bank) give(from, to string, amount int) {
	if b.call(nil, "wallet", from, "give", to, amount) == nil {
		b.want[from] -= amount
		b.want[to] += amount
	}
}

func (b *bank) get(name string) (w wallet) {
	if err := b.call(&w, "wallet", name, "get"); err != nil {
		b.t.Fatal(err)
	}
	return w
}

// check compares the balances with those of the transfers that were accepted.
func (b *bank) check(names ...string) {
	for _, name := range names {
		if w := b.get(name); w.Balance != b.want[name] || w.Disorder != 0 {
			b.t.Errorf("wallet %s has %d, want %d; %d messages were out of order", name, w.Balance, b.want[name], w.Disorder)
		}
	}
}

func TestG12_TransfersConserveMoney(t *testing.T) {
	resets := uint64(0)
	onBanks(t, func(b *bank) {
		names := []string{"a", "b", "c", "d"}
		b.store.bad.Store(true)
		for range 60 {
			if from, to := b.chance.IntN(4), b.chance.IntN(4); from != to {
				b.give(names[from], names[to], b.chance.IntN(100))
			}
			if b.chance.IntN(12) == 0 {
				b.restart()
			}
		}
		time.Sleep(5 * time.Second)
		b.store.bad.Store(false)
		time.Sleep(10 * time.Minute)
		b.check(names...)
		resets += b.resets
	})
	t.Log(resets, "resets")
}
