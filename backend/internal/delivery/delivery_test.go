package delivery_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/delivery"
	"github.com/troupe-dev/troupe/backend/store"
)

var (
	start  = time.UnixMilli(1_000_000)
	limits = delivery.Limits{Tries: 10, Fatal: 3, Wait: time.Hour}
)

func counter() func() uint64 {
	n := uint64(0)
	return func() uint64 { n++; return n }
}

func TestNumbersFollowTheClockAndNeverGoBack(t *testing.T) {
	first := delivery.Next(0, start)
	if want := uint64(start.UnixMicro()); first != want {
		t.Errorf("the first number is %d, want %d", first, want)
	}
	if got := delivery.Next(first, start.Add(-time.Hour)); got != first+1 {
		t.Errorf("with a clock set back the next number is %d, want %d", got, first+1)
	}
	if got := delivery.Next(first, time.UnixMicro(-5)); got != first+1 {
		t.Errorf("with a clock before 1970 the next number is %d, want %d", got, first+1)
	}
}

// batches returns how many messages each batch has, if all of them take effect.
func batches(t *testing.T, o *delivery.Outbox) (sizes []int) {
	t.Helper()
	attempt, rev := counter(), uint64(1)
	for range 100 {
		all := o.Batches(start, limits, attempt)
		if len(all) == 0 {
			return sizes
		}
		if again := o.Batches(start, limits, attempt); len(again) > 0 {
			t.Fatalf("there are two batches in flight")
		}
		d := all[0]
		sizes = append(sizes, len(d.Messages))
		var answers []host.DeliveryAnswer
		for _, m := range d.Messages {
			answers = append(answers, host.DeliveryAnswer{ID: m.ID, Order: m.Order})
		}
		for _, a := range o.Answer(d.To.ID, d.Attempt, answers).Settled {
			o.Edit(a.Message, nil, rev)
		}
		o.Durable(rev)
		rev++
	}
	t.Fatal("it does not end")
	return nil
}

func TestBatchesAreLimited(t *testing.T) {
	for _, test := range []struct {
		messages, bytes int
		want            string
	}{
		{1, 10, "[1]"},
		{70, 10, "[32 32 6]"},
		{7, 100 << 10, "[2 2 2 1]"},
		{2, 400 << 10, "[1 1]"},
	} {
		var o delivery.Outbox
		for i := range test.messages {
			data := json.RawMessage(make([]byte, test.bytes))
			o.Load(&store.Message{ID: uint64(i + 1), Order: uint64(i + 1), To: "b", Data: data}, time.Time{}, 0, false)
		}
		if got := fmt.Sprint(batches(t, &o)); got != test.want {
			t.Errorf("%d messages of %d bytes are sent in batches of %s, want %s", test.messages, test.bytes, got, test.want)
		}
	}
}

func TestASilentTargetDelaysItsOwnMessagesOnly(t *testing.T) {
	var o delivery.Outbox
	for i, to := range []string{"dead", "dead", "alive"} {
		o.Load(&store.Message{ID: uint64(i + 1), Order: uint64(i + 1), To: to}, time.Time{}, 0, false)
	}
	attempt := counter()
	for _, d := range o.Batches(start, limits, attempt) {
		if d.To.ID == "dead" {
			o.Silent("dead", d.Attempt, start, func(n int) time.Duration { return time.Duration(n) * time.Minute })
		} else {
			o.Answer(d.To.ID, d.Attempt, []host.DeliveryAnswer{{ID: 3, Order: 3}})
		}
	}
	o.Load(&store.Message{ID: 4, Order: 4, To: "alive"}, time.Time{}, 0, false)
	all := o.Batches(start.Add(time.Second), limits, attempt)
	if len(all) != 1 || all[0].To.ID != "alive" {
		t.Fatalf("while one target is silent the batches are %+v, want one to the other", all)
	}
	if next := o.Next(); !next.Equal(start.Add(time.Minute)) {
		t.Errorf("the silent target is tried at %s, want after a minute", next)
	}
	o.Wake(start.Add(59*time.Second), limits)
	if early := o.Batches(start.Add(59*time.Second), limits, attempt); len(early) > 0 {
		t.Errorf("the silent target is tried before its time: %+v", early)
	}
	o.Wake(start.Add(time.Minute), limits)
	if all = o.Batches(start.Add(time.Minute), limits, attempt); len(all) != 1 || len(all[0].Messages) != 2 {
		t.Fatalf("after its time the batches are %+v, want one of both messages", all)
	}
}

func TestAFailedMessageIsGivenUpAtItsLastTry(t *testing.T) {
	var o delivery.Outbox
	m := &store.Message{ID: 1, Order: 1, To: "b"}
	o.Load(m, time.Time{}, 0, false)
	attempt := counter()
	for try := 1; try <= 3; try++ {
		d := o.Batches(start, delivery.Limits{Tries: 3, Fatal: 3, Wait: time.Hour}, attempt)[0]
		if last := d.Messages[0].Last; last != (try == 3) {
			t.Errorf("try %d of 3: Last is %v", try, last)
		}
		out := o.Answer("b", d.Attempt, []host.DeliveryAnswer{{ID: 1, Order: 1, Result: host.DeliveryFailed}})
		if out.Failed == nil || out.Failed.Message != m {
			t.Fatalf("the outcome of a failed message is %+v", out)
		}
		again := *m
		again.Tries++
		o.Edit(m, &again, uint64(try))
		m = &again
	}
}

// receive has an inbox handle messages of a sender.
func receive(b *delivery.Inbox, from string, orders ...uint64) (results []host.DeliveryResult) {
	d := &host.Delivery{From: host.Ref{ID: from}}
	for _, n := range orders {
		m := host.DeliveryMessage{ID: n, Order: n}
		answer, run := b.Check(d, &m)
		if run {
			b.Finish(d, &m, host.DeliveryDone, nil)
		}
		results = append(results, answer.Result)
	}
	return results
}

func TestASenderIsKeptForAWhile(t *testing.T) {
	b := delivery.NewInbox(nil, 0, 0)
	receive(&b, "a", 5)
	b.Settled("a", 0, 4, start)
	if gone, _ := b.Forget(start.Add(time.Hour), true); len(gone) > 0 {
		t.Errorf("it forgets %v, which has a message above what is settled", gone)
	}
	b.Settled("a", 0, 5, start)
	if gone, _ := b.Forget(start.Add(59*time.Second), false); len(gone) > 0 {
		t.Errorf("it forgets %v at once", gone)
	}
	receive(&b, "a", 6)
	if gone, _ := b.Forget(start.Add(time.Hour), true); len(gone) > 0 {
		t.Errorf("it forgets %v, which has sent another message", gone)
	}
	b.Settled("a", 0, 6, start)
	gone, floor := b.Forget(start.Add(time.Minute), false)
	if len(gone) != 1 || floor != 6 {
		t.Errorf("after a minute it forgets %v and its floor is %d, want a and 6", gone, floor)
	}
	if got := receive(&b, "a", 6); got[0] != host.DeliveryRenumber {
		t.Errorf("a copy of a forgotten message has the result %d, want DeliveryRenumber", got[0])
	}
	if got := receive(&b, "a", 7); got[0] != host.DeliveryDone {
		t.Errorf("a new message of a forgotten sender has the result %d, want DeliveryDone", got[0])
	}
}
