package jetstream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// Nodes that ask for a secret at the same time get the one that was stored first, also those
// that have looked before there was one. No replica that may be behind is asked.
func TestSecretsAreMadeOnce(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	stores := []*Store{p.open(t), p.open(t), p.open(t)}
	watch, err := p.connect(t).SubscribeSync("$JS.API.DIRECT.GET." + stores[0].table + ".>")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	looked := make(chan struct{}) // is closed when all have found nothing
	var calls atomic.Int64
	got := make([]string, len(stores))
	for i, s := range stores {
		done.Go(func() {
			value, err := s.Secret(ctx, "session.key", func() []byte {
				if calls.Add(1) == int64(len(stores)) {
					close(looked)
				}
				select {
				case <-looked:
				case <-ctx.Done(): // another one has failed
				}
				return fmt.Append(nil, "key", i)
			})
			if err != nil {
				t.Error(err)
				cancel()
			}
			got[i] = string(value)
		})
	}
	done.Wait()
	if calls.Load() != int64(len(stores)) || got[0] == "" || got[0] != got[1] || got[0] != got[2] {
		t.Errorf("after %d calls the nodes have %q, want one value", calls.Load(), got)
	}
	stream, err := stores[0].js.Stream(t.Context(), stores[0].table)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != 1 {
		t.Errorf("%d values were stored, error %v, want 1", info.State.Msgs, err)
	}
	if n, _, err := watch.Pending(); n != 0 || err != nil {
		t.Errorf("%d messages were read from any replica, error %v", n, err)
	}
}
