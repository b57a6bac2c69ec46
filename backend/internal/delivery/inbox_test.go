package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/delivery"
	"github.com/troupe-dev/troupe/backend/store"
)

// crowd returns the inbox of a receiver that has heard from n senders, in the order of their
// numbers.
func crowd(n int) delivery.Inbox {
	b := delivery.NewInbox(nil, 0, 0)
	for i := range n {
		receive(&b, fmt.Sprint("sender", i), uint64(i)+1)
	}
	return b
}

func answerAll(b *delivery.Inbox, asked []store.Sender, settled, ok bool, now time.Time) {
	for _, s := range asked {
		upTo := s.Highest
		if !settled {
			upTo--
		}
		b.Answered(s.ID, s.Born, upTo, ok, now)
	}
}

func TestAReceiverAsksWhenItHasTooManySenders(t *testing.T) {
	b := crowd(10_000)
	if ask := b.Excess(start); len(ask) > 0 {
		t.Errorf("10,000 senders: it asks %d of them, want none", len(ask))
	}
	receive(&b, "one more", 20_000)
	ask := b.Excess(start)
	if len(ask) != 64 || ask[0].ID != "sender0" || ask[63].ID != "sender63" {
		t.Fatalf("10,001 senders: it asks %d, want the 64 oldest", len(ask))
	}
	b.Settled("sender0", 0, 1, start) // by a message, not by its answer
	b.Answered("sender1", 0, 2, true, start)
	receive(&b, "two more", 20_001)
	receive(&b, "three more", 20_002)
	receive(&b, "four more", 20_003)
	if again := b.Excess(start); len(again) > 0 {
		t.Errorf("before the answers are there it asks %d more", len(again))
	}
	answerAll(&b, ask, true, true, start)
	if again := b.Excess(start); len(again) > 0 {
		t.Errorf("64 of 10,004 are settled, and it asks %d more", len(again))
	}
	if gone, floor := b.Forget(start, true); len(gone) != 64 || floor != 64 {
		t.Errorf("it forgets %d and its floor is %d, want those that have answered and the last number", len(gone), floor)
	}
}

func TestAReceiverDoesNotAskTheSameOnesOnAndOn(t *testing.T) {
	for _, test := range []struct {
		name string
		ok   bool
	}{{"they have no answer", false}, {"they are not settled", true}} {
		t.Run(test.name, func(t *testing.T) {
			b := crowd(10_100)
			first := b.Excess(start)
			answerAll(&b, first, false, test.ok, start)
			if again := b.Excess(start.Add(time.Second - 1)); len(again) > 0 {
				t.Errorf("at once it asks %d more", len(again))
			}
			second := b.Excess(start.Add(time.Second))
			if len(second) != 64 || second[0].ID != "sender64" {
				t.Fatalf("after a second it asks %d, the first one is %+v; want the next 64", len(second), second[:1])
			}
			answerAll(&b, second, true, true, start)
			if third := b.Excess(start.Add(time.Second)); len(third) != 64 || third[0].ID != "sender128" {
				t.Errorf("after answers that help it asks %d, want the next 64 at once", len(third))
			}
		})
	}
}

func TestARoundAsksEachSenderOnce(t *testing.T) {
	b := crowd(1000)
	for round := range 2 {
		b.Round()
		asked := map[string]bool{}
		for {
			ask := b.Next()
			if len(ask) > 64 {
				t.Fatalf("it asks %d at once", len(ask))
			}
			if more := b.Next(); len(ask) == 64 && len(more) > 0 {
				t.Fatalf("while 64 are asked it asks %d more", len(more))
			}
			if len(ask) == 0 {
				break
			}
			for _, s := range ask {
				asked[s.ID] = true
			}
			answerAll(&b, ask, false, true, start)
		}
		if len(asked) != 1000 || b.Asks() {
			t.Errorf("round %d asks %d of 1000; answers are awaited: %v", round, len(asked), b.Asks())
		}
	}
}

// A sender that was made again, or is forgotten, does not leave its place taken.
func TestNoAnswerOfAForgottenSenderIsAwaited(t *testing.T) {
	b := crowd(2)
	b.Round()
	b.Next()
	b.Settled("sender0", 0, 1, start)
	b.Forget(start, true)
	d := host.Delivery{From: host.Ref{ID: "sender1"}, Born: 7}
	m := host.DeliveryMessage{ID: 9, Order: 9}
	if _, run := b.Check(&d, &m); !run {
		t.Fatal("the message of a new sender does not run")
	}
	b.Finish(&d, &m, host.DeliveryDone, nil)
	if b.Asks() {
		t.Error("answers are awaited")
	}
}

// What a message costs its receiver does not grow with the number of senders.
func TestManySendersDoNotSlowAMessageDown(t *testing.T) {
	b := crowd(40_000)
	ask := b.Excess(start)
	for i := range 20_000 {
		b.Settled(fmt.Sprint("sender", i+10_000), 0, 40_000, start)
	}
	began := time.Now()
	for i := range 10_000 {
		id := fmt.Sprint("sender", i%10+39_000)
		receive(&b, id, uint64(i)+50_000)
		if more := b.Excess(start); len(more) > 0 {
			t.Fatalf("%d are asked, and it asks %d more", len(ask), len(more))
		}
		if gone, _ := b.Forget(start.Add(time.Minute-1), false); len(gone) > 0 {
			t.Fatalf("it forgets %d too early", len(gone))
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("10,000 messages took %s", took)
	}
}
