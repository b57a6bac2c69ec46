package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// namer is a store that can count its actors by the names of their definitions.
type namer interface {
	Names(ctx context.Context) (map[string]int, error)
}

// startOrphans warns of orphans in the background: a large store takes seconds to count,
// and must not delay the start.
func (s *Server) startOrphans(defined []string) {
	st, ok := s.store.(namer)
	if !ok {
		s.endOrphans = func() {}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var counting sync.WaitGroup
	s.endOrphans = func() {
		cancel()
		counting.Wait()
	}
	counting.Go(func() { s.warnOfOrphans(ctx, st, defined) })
}

// warnOfOrphans logs the stored actors whose definitions are not in the registry, with
// their numbers, as after a definition was renamed or removed.
func (s *Server) warnOfOrphans(ctx context.Context, st namer, defined []string) {
	stored, err := st.Names(ctx)
	if err != nil {
		s.logger.Debug("the names of the stored actors cannot be read", "error", err)
		return
	}
	var orphans []string
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if !slices.Contains(defined, name) {
			orphans = append(orphans, fmt.Sprintf("%s (%d)", name, stored[name]))
		}
	}
	if len(orphans) > 0 {
		s.logger.Warn("there are stored actors whose definition does not exist: they stay stored and cannot be reached. If you renamed a definition, give it its old name back",
			"actors", strings.Join(orphans, ", "))
	}
}
