package server

import (
	"context"
	"fmt"
	"iter"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/store"
)

// listPage is how many actors Actors reads from the store at a time.
const listPage = 256

// Actors returns the stored actors of a definition whose keys begin with prefix, one
// component for each of its strings; an empty name means those of all definitions, and an
// empty prefix those with any key. An actor that was only read so far is not stored, and
// one that was destroyed is left out.
//
//	for a, err := range srv.Actors(ctx, "chatRoom", actor.Key{"team-7"}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(a.Key, a.Bytes, a.Conns)
//	}
//
// The order is the store's and stays the same. The actors are read by pages of 256, and
// none is loaded, so you may list any number while the server runs; see store.ActorInfo for
// the units. Those that are made, changed or destroyed meanwhile may be missing, or be
// there as they were. A rare prefix reads as much of the store as a frequent one.
//
// An error, that of ctx or the store, comes with the zero ActorInfo and is the last item.
// The iterator may be used several times, and by several goroutines at once.
func (s *Server) Actors(ctx context.Context, name string, prefix actor.Key) iter.Seq2[store.ActorInfo, error] {
	return func(yield func(store.ActorInfo, error) bool) {
		q := store.ListQuery{Name: name, Prefix: prefix, Limit: listPage}
		for {
			page, err := s.store.List(ctx, q)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(store.ActorInfo{}, fmt.Errorf("list actors: %w", err))
				return
			}
			for _, a := range page.Actors {
				if !a.Destroyed && !yield(a, nil) {
					return
				}
			}
			if q.After = page.Next; q.After == "" {
				return
			}
		}
	}
}
