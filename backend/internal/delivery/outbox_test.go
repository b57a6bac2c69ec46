package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// BenchmarkOutbox_Targets sends one message to each of many receivers in one turn. The time
// of a message must not grow with their number.
func BenchmarkOutbox_Targets(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			now, limits := time.Now(), Limits{Tries: 10, Fatal: 3, Wait: time.Hour}
			for b.Loop() {
				var o Outbox
				attempts, rev := uint64(0), uint64(1)
				for i := range n {
					o.Edit(nil, &store.Message{ID: uint64(i + 1), Order: uint64(i + 1), To: fmt.Sprint(i)}, rev)
				}
				o.Durable(rev)
				deliveries := o.Batches(now, limits, func() uint64 { attempts++; return attempts })
				if len(deliveries) != n {
					b.Fatalf("got %d deliveries", len(deliveries))
				}
				for _, d := range deliveries {
					m := d.Messages[0]
					out := o.Answer(d.To.ID, d.Attempt, []host.DeliveryAnswer{{ID: m.ID, Order: m.Order, Result: host.DeliveryDone}})
					rev++
					o.Edit(out.Settled[0].Message, nil, rev)
					o.Durable(rev)
					o.Batches(now, limits, nil)
					if !o.Next().IsZero() {
						b.Fatal("a receiver is waited for")
					}
				}
				if o.InFlight() {
					b.Fatal("a batch is in flight")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
		})
	}
}

// BenchmarkOutbox_Silent has many receivers that do not answer. The time of an attempt must
// grow no faster than the logarithm of their number.
func BenchmarkOutbox_Silent(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := silentTargets(n)
			b.ResetTimer()
			for b.Loop() {
				o.attempt(b)
			}
		})
	}
}

var (
	epoch        = time.UnixMilli(1_000_000)
	silentLimits = Limits{Tries: 10, Fatal: 3, Wait: time.Hour}
)

// silent is an outbox of which all receivers are silent.
type silent struct {
	Outbox
	now      time.Time
	attempts uint64
	wait     time.Duration
}

// silentTargets returns an outbox whose receivers are waited for, each for another time.
func silentTargets(n int) *silent {
	o := &silent{now: epoch, wait: time.Duration(n) * time.Millisecond}
	for i := range n {
		o.now = o.now.Add(time.Millisecond)
		o.Load(&store.Message{ID: uint64(i + 1), Order: uint64(i + 1), To: fmt.Sprint(i)}, o.now.Add(o.wait), 1, false)
	}
	o.Batches(o.now, silentLimits, nil)
	return o
}

// attempt sends to the receiver whose time comes next, which does not answer.
func (o *silent) attempt(tb testing.TB) {
	o.now = o.Next()
	o.Wake(o.now, silentLimits)
	all := o.Batches(o.now, silentLimits, func() uint64 { o.attempts++; return o.attempts })
	if len(all) != 1 {
		tb.Fatalf("got %d deliveries, want one", len(all))
	}
	o.Silent(all[0].To.ID, o.attempts, o.now, func(int) time.Duration { return o.wait })
	if more := o.Batches(o.now, silentLimits, nil); len(more) > 0 {
		tb.Fatal("it is sent again at once")
	}
}

// TestManySilentReceiversDoNotSlowAnAttemptDown is about the time of the actor's goroutine.
func TestManySilentReceiversDoNotSlowAnAttemptDown(t *testing.T) {
	o := silentTargets(50_000)
	began := time.Now()
	for range 10_000 {
		o.attempt(t)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("10,000 attempts took %s", took)
	}
}

// The time until when a receiver is waited for may change meanwhile, and there may be nothing to
// send to it any more.
func TestNextFollowsTheReceivers(t *testing.T) {
	var o Outbox
	var messages []*store.Message
	for i := range 3 {
		m := &store.Message{ID: uint64(i + 1), Order: uint64(i + 1), To: fmt.Sprint(i)}
		messages = append(messages, m)
		o.Load(m, epoch.Add(time.Duration(i+1)*time.Minute), 1, false)
	}
	o.Batches(epoch, silentLimits, nil)
	wants := func(after time.Duration) {
		t.Helper()
		if got := o.Next(); !got.Equal(epoch.Add(after)) {
			t.Errorf("the next try is %s after the start, want %s", got.Sub(epoch), after)
		}
	}
	wants(time.Minute)
	later := *messages[0]
	later.Retry = epoch.Add(10 * time.Minute)
	o.Edit(messages[0], &later, 1)
	wants(2 * time.Minute)
	o.Edit(messages[1], nil, 2)
	o.Durable(2)
	o.Notices()
	wants(3 * time.Minute)
	o.Wake(epoch.Add(-2*time.Hour), silentLimits) // the clock was set back
	if all := o.Batches(epoch.Add(-2*time.Hour), silentLimits, func() uint64 { return 7 }); len(all) != 2 {
		t.Errorf("after the clock was set back by more than a wait may last %d are sent, want both", len(all))
	}
}

// A message that may be why a process has ended stays doubted when it gets another number.
func TestANewNumberSettlesNoDoubt(t *testing.T) {
	var o Outbox
	attempts := uint64(0)
	batches := func() []*host.Delivery {
		return o.Batches(epoch, silentLimits, func() uint64 { attempts++; return attempts })
	}
	for i := range uint64(2) {
		o.Edit(nil, &store.Message{ID: i + 1, Order: i + 1, To: "b"}, 1)
	}
	o.Durable(1)
	batches()
	for _, m := range o.Doubt("b", 1) {
		counted := *m
		counted.Fatal++
		o.Edit(m, &counted, 2)
	}
	o.Silent("b", 1, epoch, func(int) time.Duration { return 0 })
	o.Durable(2)
	if sent := batches(); len(sent) > 0 {
		t.Fatalf("got %+v, want none before it is trusted", sent)
	}
	o.Trust(o.Doubted()[0])
	if sent := batches(); len(sent) != 1 || len(sent[0].Messages) != 1 || !sent[0].Suspect {
		t.Fatalf("got %+v, want the first message alone, suspect", sent)
	}
	if out := o.Answer("b", 2, []host.DeliveryAnswer{{ID: 1, Order: 1, Result: host.DeliveryRenumber, Floor: 9}}); !out.Renumber {
		t.Fatalf("got %+v", out)
	}
	for _, m := range o.Renumber("b") {
		again := *m
		again.Order += 9
		o.Edit(m, &again, 3)
	}
	o.Durable(3)
	sent := batches()
	if len(sent) != 1 || len(sent[0].Messages) != 1 || sent[0].Messages[0].Order != 10 {
		t.Fatalf("got %+v, want the first message alone", sent)
	}
	o.Edit(o.Answer("b", 3, []host.DeliveryAnswer{{ID: 1, Order: 10}}).Settled[0].Message, nil, 4)
	o.Durable(4)
	if sent := batches(); len(sent) > 0 {
		t.Errorf("got %+v, want none before it is trusted", sent)
	}
	if doubted := o.Doubted(); len(doubted) != 1 || doubted[0].ID != 2 {
		t.Errorf("got %+v, want the second message doubted", doubted)
	}
}
