package runtime_test

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

// oneWay is a value that is written in a form which it does not read.
type oneWay struct{ N int }

func (o oneWay) MarshalJSON() ([]byte, error) { return json.Marshal(o.N) }
func (o *oneWay) UnmarshalJSON(b []byte) error {
	if string(b) != "0" {
		return errors.New("only 0 can be read")
	}
	return nil
}

type brittle struct {
	Value oneWay `json:"value"`
}

func (b *brittle) Add(*actor.Context[actor.NoState]) { b.Value.N++ }
func (b *brittle) Fail(*actor.Context[actor.NoState]) error {
	b.Value.N++
	return errors.New("as asked")
}

// TestABrokenActorAnswersWhileItsStoreFails: it is given up, and reset
// at the same time, and continues from its durable state.
func TestABrokenActorAnswersWhileItsStoreFails(t *testing.T) {
	reg := actor.NewRegistry(actor.Define[brittle]("brittle"))
	inBubble(t, func(t *testing.T) {
		held := storetest.Held(memory.New(memory.Options{}))
		b := newBench(t, held, reg)
		ref := host.Ref{Name: "brittle", Key: host.Key{"a"}}
		answers := make(chan error, 3)
		call := func(action string) {
			go func() {
				_, err := b.node.CallOnce(t.Context(), ref, host.DirectCall{Create: true, Action: action})
				answers <- err
			}()
			synctest.Wait()
		}
		call("add")
		held.Wait(1)
		call("fail") // cannot be undone: the state that add left cannot be read
		call("add")
		held.Fail(store.ErrFull)
		for range 3 {
			if err := <-answers; err == nil {
				t.Error("a call that had no effect succeeded")
			}
		}
		held.ReleaseAll()
		time.Sleep(time.Second) // it is not loaded more often than ten times a second
		call("add")
		if err := <-answers; err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}
