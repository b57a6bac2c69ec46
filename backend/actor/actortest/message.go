package actortest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// Scheduled returns the messages that the actor has scheduled to itself and that are not
// finished, as they are stored: in the order of their times, the parked ones last, also those
// to other actors. The time of one whose handler has failed is still the one at which it was
// due.
func (a *Actor) Scheduled() []actor.Scheduled {
	t := a.node.T
	t.Helper()
	synctest.Wait()
	id := cmp.Or(a.ref.ID, host.ActorID(a.ref.Name, a.ref.Key))
	snap, err := a.node.store.Load(context.Background(), id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	var all []actor.Scheduled
	for _, m := range snap.Messages {
		if m.To != "" && m.Parked == "" {
			continue
		}
		w := actor.Scheduled{
			ID: actor.MessageID(fmt.Sprintf("%s.%d", id, m.ID)), Name: m.Label, Type: m.Type, Due: m.Due, Repeat: m.Spec, Tries: m.Tries, Parked: m.Parked,
		}
		if m.To != "" {
			w.To = actor.Of(m.Name, m.Key...)
		}
		all = append(all, w)
	}
	slices.SortStableFunc(all, func(a, b actor.Scheduled) int {
		if (a.Parked == "") != (b.Parked == "") {
			return cmp.Compare(a.Parked, b.Parked)
		}
		return a.Due.Compare(b.Due)
	})
	return all
}
