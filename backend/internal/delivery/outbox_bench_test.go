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
