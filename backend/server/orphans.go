package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// warnOfOrphans logs the stored actors whose definitions are not in the registry, with
// their numbers, as after a definition was renamed or removed.
func (s *Server) warnOfOrphans(ctx context.Context, defined []string) {
	st, ok := s.store.(interface {
		Names(ctx context.Context) (map[string]int, error)
	})
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a large store must not delay the start
	defer cancel()
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
