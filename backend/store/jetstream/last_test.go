package jetstream

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store"
)

// storeDue stores that n actors are due, as their owner before has.
func storeDue(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		w, err := json.Marshal(wake{Rev: 1, Due: time.Now().UnixMilli()})
		if err == nil {
			err = s.nc.Publish(s.wake(fmt.Sprint("due", i)), w)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func dueIn(t *testing.T, s *Store, most int) int {
	t.Helper()
	wakes, err := s.Due(t.Context(), store.Wake{}, time.Now().Add(time.Hour), most)
	if err != nil {
		t.Fatal(err)
	}
	return len(wakes)
}

// What is known of few sleeping actors is read at once. For more than a Direct Get gives there is
// a consumer, and its first requests may meet nobody.
func TestSleepersAreReadAtOnce(t *testing.T) {
	for _, test := range []struct{ actors, deaf, pulls, consumers int }{
		{100, 0, 0, 0}, {1100, 3, 5, 2}, // a busy machine may take two for one
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			proxy, backend := newProxy(t)
			p := backend.newPlace(quiet)
			defer p.remove(t)
			p.tick = time.Hour
			s := p.open(t)
			storeDue(t, s, test.actors)
			var parts []int
			for part := range store.Partitions {
				parts = append(parts, part)
			}
			proxy.set(func() { proxy.api, proxy.deaf = nil, test.deaf })
			if err := s.Adopt(t.Context(), parts, nil); err != nil {
				t.Fatal(err)
			}
			if got := dueIn(t, s, test.actors+1); got != test.actors {
				t.Errorf("got %d actors that are due, want %d", got, test.actors)
			}
			consumers, pulls := proxy.requests("CONSUMER.CREATE."), proxy.requests("CONSUMER.MSG.NEXT.")
			if consumers > test.consumers || pulls < test.pulls {
				t.Errorf("it took %d consumers and %d requests for their messages, want at most %d, and %d", consumers, pulls, test.consumers, test.pulls)
			}
		})
	}
}

// A replica that is behind says less than there is: its consumer is waited for.
func TestSleepersOfAReplicaThatIsBehind(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	s := p.takeOver(t)
	storeDue(t, s, 1)
	known, err := s.adopter.writeBarrier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	wrote := false
	err = s.adopter.pullLast(t.Context(), []string{s.prefix + ".s.w.>"}, false, known+1, func(subject string, _ *nats.Msg) {
		heard = append(heard, lastToken(subject))
		if !wrote { // the consumer has said all that it has
			wrote = true
			if _, err := s.adopter.writeBarrier(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || len(heard) != 1 {
		t.Errorf("heard of %v, error %v", heard, err)
	}
}
