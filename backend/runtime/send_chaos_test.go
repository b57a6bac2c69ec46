package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// strongbox is a wallet that can be destroyed. A message of it is worth one token.
type strongbox struct {
	Balance  int              `json:"balance"`
	Life     int64            `json:"life"` // tells its lives apart
	Sent     int              `json:"sent"`
	Last     map[string]token `json:"last"` // the newest one, by sender
	Disorder int              `json:"disorder"`
}

// token is what it sends.
type token struct {
	Life int64 `json:"life"`
	N    int   `json:"n"` // counts in that life
}

func (s *strongbox) OnCreate(c *nothing) { s.Life = c.Now().UnixNano() }

func (s *strongbox) Give(c *nothing, to string, coins int) {
	for range coins {
		s.Balance--
		s.Sent++
		c.Send(actor.Of("strongbox", to), token{s.Life, s.Sent})
	}
}

// Close destroys it and returns what it had.
func (s *strongbox) Close(c *nothing) int {
	c.Destroy()
	return s.Balance
}

// GiveAndClose destroys it in the turn in which it sends.
func (s *strongbox) GiveAndClose(c *nothing, to string, coins int) int {
	s.Give(c, to, coins)
	return s.Close(c)
}

func (s *strongbox) token(c *nothing, m token) error {
	from, _ := c.Sender()
	if last := s.Last[from.Key[0]]; last.Life == m.Life && last.N >= m.N {
		s.Disorder++
	}
	if s.Last == nil {
		s.Last = map[string]token{}
	}
	s.Last[from.Key[0]] = m
	s.Balance++
	switch creditRuns.add(c.Key()[0]) % 9 {
	case 3:
		return errors.New("now and then it fails")
	case 5:
		return actor.Errorf("no", "or refuses")
	}
	return nil
}

func (s *strongbox) OnUndelivered(_ *nothing, _ actor.Undelivered) error {
	s.Balance++
	if creditRuns.add("undelivered")%5 == 2 {
		return errors.New("now and then it fails")
	}
	return nil
}

func (s strongbox) Get(*nothing) strongbox { return s }

func strongboxes() *actor.Registry {
	return actor.NewRegistry(actor.Define[strongbox]("strongbox", actor.Handles((*strongbox).token)))
}

// undelivered is a log that counts the messages of which only it says that they had no effect:
// their senders were destroyed.
type undelivered struct {
	slog.Handler
	mu  *sync.Mutex
	ids map[string]bool
	id  string
}

func newUndelivered() undelivered {
	return undelivered{Handler: slog.DiscardHandler, mu: new(sync.Mutex), ids: map[string]bool{}}
}

func (u undelivered) Enabled(context.Context, slog.Level) bool { return true }

func (u undelivered) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if a.Key == "id" || a.Key == "messageID" {
			u.id += a.Value.String() + " "
		}
	}
	return u
}

func (u undelivered) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "message was not delivered" {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.ids[u.id] = true // again, if that is not durable
	}
	return nil
}

func (u undelivered) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.ids)
}

// strongroom is a bank of strongboxes, which are destroyed now and then.
type strongroom struct {
	*bank
	names  []string
	closed int // what strongboxes had when they were destroyed
	log    undelivered
}

func newStrongroom(b *bank, o func() runtime.Options) *strongroom {
	s := &strongroom{bank: b, names: []string{"a", "b", "c"}, log: newUndelivered()}
	b.options = func() (*actor.Registry, runtime.Options) {
		options := o()
		options.Logger = slog.New(s.log)
		return strongboxes(), options
	}
	b.restart()
	return s
}

// step does something at random.
func (s *strongroom) step() {
	from, to := s.names[s.chance.IntN(len(s.names))], s.names[s.chance.IntN(len(s.names))]
	coins, had := 1+s.chance.IntN(3), 0
	var err error
	switch n := s.chance.IntN(20); {
	case n < 14:
		_ = s.call(nil, "strongbox", from, "give", to, coins)
		return
	case n < 16:
		err = s.call(&had, "strongbox", from, "close")
	case n < 17:
		err = s.call(&had, "strongbox", from, "giveAndClose", to, coins)
	case n < 18:
		s.restart()
		return
	default:
		time.Sleep(time.Duration(s.chance.IntN(3000)) * time.Millisecond)
		return
	}
	if err == nil {
		s.closed += had
	}
}

// check adds up where all coins are: none may be lost, none may be twice.
func (s *strongroom) check() {
	s.t.Helper()
	sum := s.closed + s.log.count()
	for _, name := range s.names {
		var one strongbox
		if err := s.call(&one, "strongbox", name, "get"); err != nil {
			s.t.Fatal(err)
		}
		sum += one.Balance
		if one.Disorder > 0 {
			s.t.Errorf("strongbox %s got %d coins out of order", name, one.Disorder)
		}
	}
	if sum != 0 {
		s.t.Errorf("there are %d coins too many: %d were in safes when they were destroyed, and %d came back to nobody", sum, s.closed, s.log.count())
	}
}

// Money is conserved while senders, receivers or both are destroyed and made again.
func TestG12_TransfersAndDestroy(t *testing.T) {
	onBanks(t, func(b *bank) {
		s := newStrongroom(b, func() runtime.Options { return runtime.Options{} })
		s.store.bad.Store(true)
		for range 60 {
			s.step()
		}
		s.store.bad.Store(false)
		time.Sleep(20 * time.Minute)
		s.check()
	})
}

// lateCourier is a courier that loses, repeats, and delays past the time at which a receiver
// forgets its sender.
type lateCourier struct {
	bank *bank
	good atomic.Bool
}

// later calls f of the node that runs then, after a random time.
func (c *lateCourier) later(f func(host.Courier)) {
	delay := []time.Duration{0, 0, 5 * time.Millisecond, time.Second, time.Minute, 10 * time.Minute}[c.bank.chance.IntN(6)]
	if c.good.Load() {
		delay = 0
	}
	time.AfterFunc(delay, func() { f(runtime.CourierOf(c.bank.current.Load())) })
}

func (c *lateCourier) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	once := sync.Once{}
	answer := func(answers []host.DeliveryAnswer, err error) {
		once.Do(func() { answered(answers, err) })
	}
	time.AfterFunc(30*time.Second, func() { answer(nil, host.Faultf("silent", "no answer in time")) })
	copies := 1
	if !c.good.Load() {
		copies = c.bank.chance.IntN(4)
	}
	for range copies {
		drip := !c.good.Load() && c.bank.chance.IntN(3) == 0
		c.later(func(to host.Courier) {
			to.Deliver(d, func(answers []host.DeliveryAnswer, err error) {
				if !drip {
					c.later(func(host.Courier) { answer(answers, err) })
				}
			})
		})
	}
}

func (c *lateCourier) Inquire(q host.Inquiry, answered func(uint64, error)) {
	c.later(func(to host.Courier) { to.Inquire(q, answered) })
}

// Money is conserved while couriers lose, repeat and delay, and actors are destroyed.
func TestG12_TransfersOverBadLinks(t *testing.T) {
	onBanks(t, func(b *bank) {
		courier := &lateCourier{bank: b}
		s := newStrongroom(b, func() runtime.Options { return runtime.Options{Courier: courier} })
		for i := range 80 {
			s.store.bad.Store(i > 40)
			s.step()
			if s.chance.IntN(4) == 0 {
				time.Sleep(time.Duration(s.chance.IntN(60)) * time.Second)
			}
		}
		s.store.bad.Store(false)
		courier.good.Store(true)
		time.Sleep(time.Hour)
		s.check()
	})
}

// A clock that is set back by a day loses no message, and none runs twice. A sender that the
// process before has not touched since then wakes when the clock is there again, or is used.
func TestG12_TransfersWithAClockSetBack(t *testing.T) {
	onBanks(t, func(b *bank) {
		var mu sync.Mutex
		set := time.Duration(0)
		now := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(set)
		}
		courier := &lateCourier{bank: b}
		courier.good.Store(b.seed%2 == 0)
		s := newStrongroom(b, func() runtime.Options {
			return runtime.WithClock(runtime.Options{Courier: courier}, now)
		})
		s.store.bad.Store(true)
		for i := range 80 {
			if i == 40 {
				mu.Lock()
				set = -24 * time.Hour
				mu.Unlock()
			}
			s.step()
		}
		s.store.bad.Store(false)
		courier.good.Store(true)
		for _, name := range s.names {
			_ = s.call(nil, "strongbox", name, "get")
		}
		time.Sleep(time.Hour)
		s.check()
	})
}

// A backup that is made under transfers is one cut: in what is restored, money is conserved.
func TestG12_BackupUnderTransfers(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	onBanks(t, func(b *bank) {
		if b.dir == "" {
			return // it has no backup
		}
		transfer := func() {
			i := b.chance.IntN(4)
			b.give(names[i], names[(i+1+b.chance.IntN(3))%4], 1+b.chance.IntN(100))
		}
		for range 20 {
			transfer()
		}
		done := make(chan struct{})
		file := filepath.Join(b.t.TempDir(), "backup.db")
		go func() {
			defer close(done)
			time.Sleep(time.Duration(b.chance.IntN(20)) * time.Millisecond)
			if err := sqlite.Backup(context.Background(), b.dir, file); err != nil {
				b.t.Error(err)
			}
		}()
		for range 40 {
			transfer()
			time.Sleep(time.Millisecond)
		}
		<-done
		b.stop()
		b.dir = b.t.TempDir()
		if _, err := sqlite.Restore(context.Background(), b.dir, file); err != nil {
			b.t.Fatal(err)
		}
		b.start()
		time.Sleep(10 * time.Minute)
		sum := 0
		for _, name := range names {
			sum += b.get(name).Balance
		}
		if sum != 0 {
			b.t.Errorf("after the restore there is %d too much", sum)
		}
	})
}

// basin is an actor that cannot be used while its OnStart fails.
type basin struct {
	N int `json:"n"`
}

type drip struct{}

func (s *basin) OnStart(c *nothing) error {
	if c.Key()[0] == "dead" && creditRuns.get("revived") == 0 {
		return errors.New("as asked")
	}
	return nil
}

func (s *basin) Pour(c *nothing) {
	c.Send(actor.Of("basin", "dead"), drip{})
	c.Send(actor.Of("basin", "alive"), drip{})
}

func (s *basin) drip(*nothing, drip) error { s.N++; return nil }
func (s basin) Get(*nothing) int           { return s.N }

// countingCourier counts deliveries by their receivers.
type countingCourier struct {
	host.Courier
	mu    sync.Mutex
	count map[string]int
}

func (c *countingCourier) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	c.mu.Lock()
	if len(d.Messages) > 0 {
		c.count[d.To.ID]++
	}
	next := c.Courier
	c.mu.Unlock()
	next.Deliver(d, answered)
}

// A thousand senders to an actor that cannot be used delay nobody else, and do not try all the
// time; their messages arrive when it can be used again.
func TestG12_ADeadReceiverDelaysNobodyElse(t *testing.T) {
	onBanks(t, func(b *bank) {
		if b.seed > 0 {
			return
		}
		senders := 1000
		if testing.Short() {
			senders = 100
		}
		creditRuns.clear()
		courier := &countingCourier{count: map[string]int{}}
		b.options = func() (*actor.Registry, runtime.Options) {
			return actor.NewRegistry(actor.Define[basin]("basin", actor.Handles((*basin).drip))), runtime.Options{Courier: courier}
		}
		b.restart()
		courier.Courier = runtime.CourierOf(b.node)
		for i := range senders {
			if err := b.call(nil, "basin", fmt.Sprint("sender ", i), "pour"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		got := func(key string) (n int) {
			if err := b.call(&n, "basin", key, "get"); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := got("alive"); n != senders {
			t.Errorf("after two seconds the live receiver has %d messages, want %d", n, senders)
		}
		span, fewest, most := 3*time.Hour, 30, 120 // in steps of up to 5 min, 2.5 min on average
		if b.dir != "" {
			span, fewest, most = 10*time.Minute, 5, 20
		}
		time.Sleep(span)
		dead := host.ActorID("basin", host.Key{"dead"})
		courier.mu.Lock()
		tries := courier.count[dead]
		courier.mu.Unlock()
		if per := tries / senders; per < fewest || per > most {
			t.Errorf("in %s each sender has tried %d times, want %d to %d", span, per, fewest, most)
		}
		creditRuns.add("revived")
		time.Sleep(6 * time.Minute)
		if n := got("dead"); n != senders {
			t.Errorf("once it can be used the dead receiver has %d messages, want %d", n, senders)
		}
	})
}
