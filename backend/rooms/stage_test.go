package rooms_test

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/rooms"
)

func stage(t *testing.T, test func(stage *actortest.Actor)) {
	actortest.Run(t, rooms.Registry, func(n *actortest.Node) { test(n.Actor("stage", "home")) })
}

func TestStage_linesAreNumberedAndReplayed(t *testing.T) {
	stage(t, func(stage *actortest.Actor) {
		bob := stage.Connect(nil)
		actortest.Call[any](stage, "say", "Ada", "one")
		bob.Drop()
		actortest.Call[any](stage, "say", "Ada", "two")
		actortest.Call[any](stage, "say", "Ada", "three")
		bob.Resume()
		want := []rooms.Spoken{{Number: 1, From: "Ada", Text: "one"}, {Number: 2, From: "Ada", Text: "two"}, {Number: 3, From: "Ada", Text: "three"}}
		same(t, "what Bob hears", actortest.Events[rooms.Spoken](bob), want)
		same(t, "what is kept", actortest.Call[[]rooms.Spoken](stage, "getLines"), want)
	})
}

func TestStage_refusesBadLines(t *testing.T) {
	stage(t, func(stage *actortest.Actor) {
		for _, text := range []string{"", strings.Repeat("a", 498)} {
			if err := stage.Fail("say", "Ada", text); err.Code != "bad_line" {
				t.Errorf("%d bytes: got %v, want bad_line", len(text), err)
			}
		}
		same(t, "lines", len(actortest.Call[[]rooms.Spoken](stage, "getLines")), 0)
	})
}

func TestStage_keepsTheNewestLines(t *testing.T) {
	stage(t, func(stage *actortest.Actor) {
		for range 103 {
			actortest.Call[any](stage, "say", "Ada", "again")
		}
		lines := actortest.Call[[]rooms.Spoken](stage, "getLines")
		same(t, "lines", len(lines), 100)
		same(t, "the last number", lines[99].Number, 103)
	})
}

func TestStage_isDestroyedWhenNobodyIsThereForADay(t *testing.T) {
	actortest.Run(t, rooms.Registry, func(n *actortest.Node) {
		stage := n.Actor("stage", "one")
		ada := stage.Connect(nil)
		actortest.Call[any](ada, "say", "Ada", "hello")
		time.Sleep(48 * time.Hour)
		if got := actortest.Call[[]rooms.Spoken](ada, "getLines"); len(got) != 1 {
			t.Errorf("while Ada is there: got %v", got)
		}
		ada.Close()
		time.Sleep(30 * time.Hour)
		if got := actortest.Call[[]rooms.Spoken](stage, "getLines"); len(got) != 0 {
			t.Errorf("after it: got %v, want a new stage", got)
		}
	})
}
