package runtime_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// reporter repeats a message as the test says, from OnStart.
type reporter struct {
	Ran  []string          `json:"ran"`
	IDs  []actor.MessageID `json:"ids"`
	Does string            `json:"does"`
}

type report struct{ N int }

// reporterStarts is what OnStart does.
var reporterStarts atomic.Pointer[func(*nothing)]

func onReporterStart(f func(*nothing)) { reporterStarts.Store(&f) }

func (r *reporter) OnStart(c *nothing)                       { (*reporterStarts.Load())(c) }
func (r *reporter) Do(_ *nothing, what string)               { r.Does = what }
func (r reporter) GetRan(*nothing) []string                  { return r.Ran }
func (r reporter) GetIDs(*nothing) []actor.MessageID         { return r.IDs }
func (r *reporter) Forget(*nothing)                          { r.Ran, r.IDs = nil, nil }
func (r *reporter) CancelNamed(c *nothing, name string) bool { return c.CancelNamed(name) }
func (r *reporter) Every(c *nothing, name string, seconds int) {
	c.Repeat(name, actor.Interval(time.Duration(seconds)*time.Second), report{1})
}

func (r *reporter) Cron(c *nothing, expression, zone string) {
	c.Repeat("cron", actor.Cron(expression, zone), report{2})
}

func (r reporter) GetPlanned(c *nothing) (all []string) {
	for m := range c.Scheduled() {
		text := m.Name + ": " + m.Repeat
		if m.Parked != "" {
			text += " parked"
		}
		all = append(all, text)
	}
	return all
}

func (r *reporter) report(c *nothing, m report) error {
	text := c.Due().Format(time.DateTime)
	if late := c.Now().Sub(c.Due()); late > 0 {
		text += fmt.Sprintf(" late %s missed %d", late, c.Missed())
	}
	r.Ran = append(r.Ran, text)
	r.IDs = append(r.IDs, c.MessageID())
	switch r.Does {
	case "fail":
		return fmt.Errorf("as asked")
	case "refuse":
		return actor.Errorf("refused", "as asked")
	case "cancel":
		c.CancelNamed("digest")
	case "repeat":
		c.Repeat("digest", actor.Interval(time.Hour), report{m.N})
	case "slower":
		c.Repeat("digest", actor.Interval(2*time.Hour), report{m.N})
	}
	return nil
}

var reporters = actor.NewRegistry(actor.Define[reporter]("reporter", actor.Handles((*reporter).report)))

func hourly(options ...actor.RepeatOption) func(*nothing) {
	return func(c *nothing) { c.Repeat("digest", actor.Interval(time.Hour), report{1}, options...) }
}

func reported(a actortest.Caller) []string {
	ran := actortest.Call[[]string](a, "getRan")
	actortest.Call[any](a, "forget")
	return ran
}

func TestAMessageThatRepeats(t *testing.T) {
	onReporterStart(hourly())
	actortest.Run(t, reporters, func(n *actortest.Node) {
		a := n.Actor("reporter", "a")
		actortest.Call[any](a, "forget") // OnStart alone stores nothing
		actortest.Call[any](a, "do", "nothing")
		time.Sleep(3*time.Hour + time.Minute)
		ids := actortest.Call[[]actor.MessageID](a, "getIDs")
		if len(slices.Compact(slices.Clone(ids))) != 3 {
			t.Errorf("got ids %v, want another one for each run", ids)
		}
		wantList(t, "ran", reported(a), "2000-01-01 01:00:00", "2000-01-01 02:00:00", "2000-01-01 03:00:00")
		n.Restart()
		time.Sleep(time.Hour)
		wantList(t, "after a restart", reported(a), "2000-01-01 04:00:00")
		actortest.Call[any](a, "do", "repeat")
		time.Sleep(time.Hour)
		wantList(t, "with the same from the handler", reported(a), "2000-01-01 05:00:00")
		wantList(t, "scheduled", actortest.Call[[]string](a, "getPlanned"), "digest: every 1h0m0s")
		onReporterStart(func(*nothing) {}) // it would repeat each hour again
		actortest.Call[any](a, "do", "slower")
		time.Sleep(3 * time.Hour)
		wantList(t, "with another interval from the handler", reported(a), "2000-01-01 06:00:00", "2000-01-01 08:00:00")
		actortest.Call[any](a, "do", "cancel")
		time.Sleep(24 * time.Hour)
		wantList(t, "when the handler cancels it", reported(a), "2000-01-01 10:00:00")
	})
}

// A recurring message that was missed runs once, late, then at its usual times.
func TestARepeatedMessageAfterADowntime(t *testing.T) {
	for _, test := range []struct {
		name    string
		options []actor.RepeatOption
		down    time.Duration
		want    []string
	}{
		{"late", nil, 3*time.Hour + 40*time.Minute, []string{"2000-01-01 01:00:00 late 2h50m0s missed 2", "2000-01-01 04:00:00"}},
		{"skipped", []actor.RepeatOption{actor.SkipLate(10 * time.Minute)}, 3*time.Hour + 40*time.Minute, []string{"2000-01-01 04:00:00"}},
		{"late enough", []actor.RepeatOption{actor.SkipLate(time.Hour - time.Nanosecond)}, 3*time.Hour + 40*time.Minute,
			[]string{"2000-01-01 03:00:00 late 50m0s missed 0", "2000-01-01 04:00:00"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			onReporterStart(hourly(test.options...))
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, reporters)
				ref := host.Ref{Name: "reporter", Key: host.Key{"a"}}
				call(t, b.node, ref, "do", "nothing")
				time.Sleep(10 * time.Minute)
				b.stop()
				time.Sleep(test.down)
				b.start()
				time.Sleep(11 * time.Minute)
				want := `["` + strings.Join(test.want, `","`) + `"]`
				if got := string(call(t, b.node, ref, "getRan")); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		})
	}
}

// countedStore counts commits.
type countedStore struct {
	store.Store
	commits atomic.Int64
}

func (s *countedStore) Commit(ctx context.Context, group []*store.Commit) []error {
	s.commits.Add(int64(len(group)))
	return s.Store.Commit(ctx, group)
}

// Repeat in OnStart costs no commit if it changes nothing.
func TestRepeatingTheSameMakesNoCommit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &countedStore{Store: memory.New(memory.Options{})}
		onReporterStart(hourly())
		b := newBench(t, s, reporters)
		ref := host.Ref{Name: "reporter", Key: host.Key{"a"}}
		call(t, b.node, ref, "do", "nothing")
		before := s.commits.Load()
		for range 3 {
			b.restart()
			call(t, b.node, ref, "getRan")
		}
		if n := s.commits.Load() - before; n != 0 {
			t.Errorf("%d commits, want none", n)
		}
		time.Sleep(time.Hour + time.Second)
		if n := s.commits.Load() - before; n != 1 {
			t.Errorf("%d commits after one run, want 1", n)
		}
		onReporterStart(func(c *nothing) { c.Repeat("digest", actor.Interval(time.Hour), report{2}) })
		b.restart()
		call(t, b.node, ref, "getRan")
		if n := s.commits.Load() - before; n != 2 {
			t.Errorf("%d commits after another message, want 2", n)
		}
	})
}

// Cron follows the clock of its zone. An hour that occurs twice runs twice, one that is left
// out does not run.
func TestCronFollowsItsZone(t *testing.T) {
	onReporterStart(func(*nothing) {})
	for _, test := range []struct {
		expression, zone string
		from             string
		want             []string // in UTC
	}{
		{"0 9 * * MON-FRI", "Europe/Berlin", "2000-01-06 12:00:00", []string{"2000-01-07 08:00:00", "2000-01-10 08:00:00"}},
		{"30 2 * * *", "Europe/Berlin", "2000-03-24 12:00:00", []string{"2000-03-25 01:30:00", "2000-03-27 00:30:00"}},
		{"30 23 * * *", "America/Sao_Paulo", "2000-02-26 12:00:00", []string{"2000-02-27 01:30:00", "2000-02-27 02:30:00", "2000-02-28 02:30:00"}},
		{"@daily", "America/New_York", "2000-04-01 12:00:00", []string{"2000-04-02 05:00:00", "2000-04-03 04:00:00"}},
		{"0 0 29 2 *", "UTC", "2000-02-28 12:00:00", []string{"2000-02-29 00:00:00"}},
	} {
		t.Run(test.expression+" "+test.zone+" "+test.from, func(t *testing.T) {
			actortest.Run(t, reporters, func(n *actortest.Node) {
				a := n.Actor("reporter", "a")
				from, err := time.Parse(time.DateTime, test.from)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Until(from))
				actortest.Call[any](a, "cron", test.expression, test.zone)
				last, _ := time.Parse(time.DateTime, test.want[len(test.want)-1])
				time.Sleep(time.Until(last) + time.Minute)
				wantList(t, "ran", reported(a), test.want...)
			})
		})
	}
}

func TestRecurrencesThatCannotBe(t *testing.T) {
	onReporterStart(func(*nothing) {})
	actortest.Run(t, reporters, func(n *actortest.Node) {
		a := n.Actor("reporter", "a")
		for want, args := range map[string][]any{
			`the cron expression "x"`:                          {"cron", "x", "UTC"},
			`the cron expression "@every 1h"`:                  {"cron", "@every 1h", "UTC"},
			`the cron expression "TZ=UTC 0 9 * * *"`:           {"cron", "TZ=UTC 0 9 * * *", "UTC"},
			`the time zone "Europe/Berlni"`:                    {"cron", "0 9 * * *", "Europe/Berlni"},
			`the time zone "Local"`:                            {"cron", "0 9 * * *", "Local"},
			"names no time":                                    {"cron", "0 0 30 2 *", "UTC"},
			"an interval of 0s is too short: want at least 1s": {"every", "x", 0},
			"needs a name":                                     {"every", "", 1},
		} {
			if err := a.Fail(args[0].(string), args[1:]...); !strings.Contains(err.Message, want) {
				t.Errorf("%v: got %q, want %q", args, err.Message, want)
			}
		}
		wantList(t, "scheduled", actortest.Call[[]string](a, "getPlanned"))
	})
}

// A run that keeps failing is given up, and the message goes on at its next time.
func TestARepeatedMessageThatFails(t *testing.T) {
	onReporterStart(hourly())
	actortest.Run(t, reporters, func(n *actortest.Node) {
		a := n.Actor("reporter", "a")
		actortest.Call[any](a, "do", "fail")
		time.Sleep(90 * time.Minute)
		wantList(t, "scheduled", actortest.Call[[]string](a, "getPlanned"), "digest: every 1h0m0s")
		actortest.Call[any](a, "do", "refuse")
		time.Sleep(time.Hour)
		actortest.Call[any](a, "do", "nothing")
		wantList(t, "ran", reported(a))
		time.Sleep(time.Hour)
		wantList(t, "ran", reported(a), "2000-01-01 03:00:00")
	})
}

// When the clock is set back by a day, what ran does not run again.
func TestG11_ARepeatedMessageAndTheClock(t *testing.T) {
	onReporterStart(hourly())
	inBubble(t, func(t *testing.T) {
		var clock testClock
		n := runtime.New(reporters, memory.New(memory.Options{}), runtime.WithClock(runtime.Options{Logger: slog.New(slog.DiscardHandler)}, clock.now))
		defer n.Shutdown(context.Background())
		ref := host.Ref{Name: "reporter", Key: host.Key{"a"}}
		call(t, n, ref, "do", "nothing")
		count := func() int { return strings.Count(string(call(t, n, ref, "getRan")), "2000") }
		time.Sleep(90 * time.Minute)
		if got := count(); got != 1 {
			t.Fatalf("ran %d times in 90 min, want 1", got)
		}
		clock.jump(-24 * time.Hour)
		time.Sleep(24 * time.Hour)
		if got := count(); got != 1 {
			t.Errorf("ran %d times until the old time came again, want 1", got)
		}
		time.Sleep(time.Hour)
		if got := count(); got != 2 {
			t.Errorf("ran %d times after its next time, want 2", got)
		}
		clock.jump(10 * time.Hour)
		time.Sleep(2 * time.Hour)
		if got := count(); got != 5 {
			t.Errorf("ran %d times after a jump forward, want 5: one late one and two more", got)
		}
	})
}

// A message that an operator runs now repeats at its times all the same.
func TestG11_RunNowDoesNotMoveTheTimes(t *testing.T) {
	onReporterStart(hourly())
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, reporters)
		ref := host.Ref{Name: "reporter", Key: host.Key{"a"}}
		id := host.ActorID(ref.Name, ref.Key)
		call(t, b.node, ref, "do", "nothing")
		time.Sleep(90 * time.Minute)
		run := func() {
			t.Helper()
			l := lookAt(t, b, id)
			if len(l.Messages) != 1 {
				t.Fatalf("got messages %+v", l.Messages)
			}
			if err := runtime.Inspect(b.node).ChangeMessage(t.Context(), id, l.Messages[0].ID, runtime.RunMessage); err != nil {
				t.Fatal(err)
			}
		}
		run()
		time.Sleep(time.Hour)
		got := string(call(t, b.node, ref, "getRan"))
		if want := `["2000-01-01 01:00:00","2000-01-01 01:30:00","2000-01-01 02:00:00"]`; got != want {
			t.Errorf("ran at %s, want %s", got, want)
		}
	})
}
