package jetstream

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Journals of nodes that never owned anything are removed when they have been quiet for some
// time, others are not.
func TestTidy(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	now := time.Now()
	p.now = func() time.Time { return now }
	s := p.takeOver(t)
	commit(t, s, commitOf("ada", 1))
	s.crash()
	withCommits := s.Incarnation()
	killed, closed, alive, known := p.open(t), p.open(t), p.open(t), p.open(t)
	killed.crash()
	known.crash()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	p.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	by := p.open(t)
	const damaged = "0" // the others come after it
	if _, err := by.publish(t.Context(), &nats.Msg{Subject: by.journalOf(damaged), Data: []byte("?")}); err != nil {
		t.Fatal(err)
	}
	tidy := func(want ...*Store) {
		t.Helper()
		err := by.Tidy(t.Context(), 10*time.Minute, func(journal string) bool { return journal == known.Incarnation() })
		if err != nil {
			t.Fatal(err)
		}
		got, err := by.Journals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		names := []string{damaged, withCommits}
		for _, s := range want {
			names = append(names, s.Incarnation())
		}
		if slices.Sort(names); !slices.Equal(got, names) {
			t.Errorf("the journals are %q, want %q", got, names)
		}
	}
	tidy(killed, closed, alive, known, by)
	now = now.Add(9 * time.Minute)
	tidy(killed, closed, alive, known, by)
	if err := alive.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	tidy(alive, known, by)
	if err := alive.Prove(t.Context()); err != nil {
		t.Errorf("a store that is alive: %v", err)
	}
	now = now.Add(10 * time.Minute)
	tidy(alive, known, by) // it has written since
	now = now.Add(10 * time.Minute)
	tidy(known, by)
	by.crash() // it logs no more
	if n := strings.Count(logged.String(), "cannot be read"); n != 1 {
		t.Errorf("a journal that cannot be read was logged %d times, want once:\n%s", n, logged.String())
	}
}

// The name of a space becomes a part of subjects and of streams' names.
func TestSpacesAreNames(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	for _, space := range []string{"a.b", "*", "a b", ">", "ä", "a_J", "0123456789012345678901234567890123"} {
		p.Space = space
		if s, err := Open(t.Context(), p.connect(t), p.Options); err == nil {
			s.crash()
			t.Errorf("a space named %q was opened", space)
		}
	}
}
