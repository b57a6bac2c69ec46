package runtime_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

type (
	halfOpen struct{}
	locked   struct{}
	open     struct{}
)

func (halfOpen) OnBeforeConnect(*actor.ConnectContext) error { return nil }
func (halfOpen) Get(*actor.Context[actor.NoState])           {}
func (locked) OnBeforeConnect(*actor.ConnectContext) error   { return nil }
func (locked) OnAccess(*actor.AccessContext) error           { return nil }
func (locked) Get(*actor.Context[actor.NoState])             {}
func (open) Get(*actor.Context[actor.NoState])               {}

// In check mode the log names a definition that guards one door only.
func TestAccess_oneGuardedDoor(t *testing.T) {
	registry := actor.NewRegistry(actor.Define[halfOpen]("halfOpen"), actor.Define[locked]("locked"), actor.Define[open]("open"))
	for _, check := range []bool{true, false} {
		var log bytes.Buffer
		n := runtime.New(registry, memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Check: check})
		if err := n.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := log.String()
		if strings.Contains(got, "actor=halfOpen") != check || strings.Contains(got, "actor=locked") || strings.Contains(got, "actor=open") {
			t.Errorf("check %v: got %s, want a warning of halfOpen in check mode only", check, got)
		}
	}
}
