package actor

import (
	"iter"
	"reflect"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// MessageID is the id of a message. It stays the same when the handler runs again because
// it failed, or because the server ended before its changes were durable: pass it to other
// services as an idempotency key.
type MessageID string

// Handles declares the handler of messages of type M, which the actor schedules to itself
// with Context.Schedule and Context.Repeat:
//
//	type CloseVote struct{ Round int `json:"round"` }
//
//	func (p *Poll) closeVote(c *actor.Context[Voter], m CloseVote) error { … }
//
//	actor.Define[Poll]("poll", actor.Handles((*Poll).closeVote))
//
// The handler is not exported: an exported method is an action, which clients can call. A
// message is stored as JSON under its type's name in lowerCamel, CloseVote as closeVote,
// until its handler has succeeded. So after a deploy the type still has to decode what an
// older binary has stored, as the state has to.
//
// A run of the handler is a turn. What it changes and the end of the message are one
// commit: the message takes effect exactly once (G11), also if the server ends meanwhile. An
// [Error] that the handler returns is an answer: the message is finished without effect,
// and the log has a warning. If it fails in another way, its changes are undone and it is
// tried again, after 1 s at most, twice as long with each try up to 5 min. After 10 tries
// the message is parked: it is kept and does not run.
//
// Define panics if the handler is exported, if M is not a named type, or if two handlers
// would have the same messages.
func Handles[T, S, M any](handler func(*T, *Context[S], M) error) DefineOption {
	return defineOption(func(s *definition.Spec) {
		s.Handlers = append(s.Handlers, definition.HandlerSpec{
			Func: handler, State: reflect.TypeFor[T](), Context: reflect.TypeFor[Context[S]](), Message: reflect.TypeFor[M](),
			Call: func(state, turn, message any) error {
				return handler(state.(*T), &Context[S]{turn.(*runtime.Turn)}, message.(M))
			},
		})
	})
}

// ScheduleOption is an option of Context.Schedule: Named.
type ScheduleOption func(*runtime.ScheduleOptions)

// Named gives a message a name that is unique in its actor: it replaces the message that
// has the name, also one that is parked. The name must not be empty.
func Named(name string) ScheduleOption {
	if name == "" {
		panic("actor: Named needs a name")
	}
	return func(o *runtime.ScheduleOptions) { o.Label = name }
}

// Schedule sends a message to the actor itself at a time, or at once if the time is over.
// It runs at or after that time, to the millisecond, also if the actor has left memory or
// the server was down then: late ones run in the order of their times. Its type must be
// declared with Handles. The message is encoded at once.
//
// The message is a change of the turn: it is there if the turn succeeds and becomes
// durable, and gone if the turn fails. One that OnCreate or OnStart of a new actor
// schedules is stored with the actor's first commit.
//
// A message of more than 64 KiB fails the turn with too_large, one too many with
// overloaded, see Options.MaxMessages.
func (c *Context[S]) Schedule(at time.Time, message any, options ...ScheduleOption) MessageID {
	var o runtime.ScheduleOptions
	for _, option := range options {
		option(&o)
	}
	return MessageID(c.turn.Messages().Schedule(at, message, o))
}

// Recurrence says when a message repeats: Cron or Interval.
type Recurrence struct{ r runtime.Recurrence }

// Cron repeats a message at the times of a cron expression in a time zone, which is a name
// such as "Europe/Berlin", or "UTC":
//
//	actor.Cron("0 9 * * MON-FRI", "Europe/Berlin")
//
// The five fields are minute, hour, day of the month, month and day of the week; @daily and
// the like also do. When clocks are set back, times in the hour that occurs twice run twice;
// when they are set forward, times in the hour that is left out do not run.
func Cron(expression, zone string) Recurrence {
	return Recurrence{r: runtime.Recurrence{Cron: expression, Zone: zone}}
}

// Interval repeats a message each d, the first time after d. It must be a second or more.
func Interval(d time.Duration) Recurrence { return Recurrence{r: runtime.Recurrence{Interval: d}} }

// RepeatOption is an option of Context.Repeat: SkipLate.
type RepeatOption func(*runtime.Recurrence)

// SkipLate leaves out the times at which a message could not run within d, because the
// server was down or the handler failed. Without it the message runs once, late, for all
// times that it has missed.
func SkipLate(d time.Duration) RepeatOption {
	if d <= 0 {
		panic("actor: SkipLate needs a positive duration")
	}
	return func(r *runtime.Recurrence) { r.SkipLate = d }
}

// Repeat has the handler get a message again and again. The name is that of Named: it is
// unique in the actor, and CancelNamed ends the repetition.
//
//	func (r *Report) OnStart(c *actor.Context[actor.NoState]) {
//		c.Repeat("digest", actor.Cron("0 9 * * MON-FRI", "Europe/Berlin"), Digest{})
//	}
//
// If the actor already repeats the same message with that name at the same times, Repeat
// changes nothing, so it belongs into OnStart. Another message or other times replace the
// old ones; times of the old ones that were missed are gone.
//
// Each run is a message of its own, with its own MessageID. If the server was down at
// several of its times, it runs once for all of them, see Missed, and then at its usual
// times. A run that fails is tried again, as Handles says; after 10 tries it is given up, and
// the message goes on at its next time. An expression or a zone that cannot be read fails
// the turn.
func (c *Context[S]) Repeat(name string, when Recurrence, message any, options ...RepeatOption) {
	r := when.r
	for _, option := range options {
		option(&r)
	}
	c.turn.Messages().Repeat(name, r, message)
}

// Missed returns how many more times the message that the turn handles was due before it
// ran: Due is the first of them. It is 0 unless the message repeats and was late, and at most
// 10,000.
func (c *Context[S]) Missed() int { return c.turn.Messages().Missed() }

// Cancel removes a message that the actor has scheduled, or one to another actor that is
// parked. It reports false if there is none: it was handled, canceled or replaced. A message
// that is being handled is not there.
func (c *Context[S]) Cancel(id MessageID) bool { return c.turn.Messages().Cancel(string(id)) }

// CancelNamed removes the message with a name. It reports false if there is none.
func (c *Context[S]) CancelNamed(name string) bool { return c.turn.Messages().CancelNamed(name) }

// Scheduled is a message that an actor has scheduled to itself.
type Scheduled struct {
	ID     MessageID
	Name   string // from Named; empty if it has none
	Type   string // of the message, as it is stored
	Due    time.Time
	Repeat string // when it repeats; empty: it runs once
	Tries  int    // how often its handler has failed
	Parked string // not empty: the message is parked, because of this
	To     Ref    // of a message to another actor, which is parked; else zero
}

// Scheduled returns the messages that the actor has scheduled to itself and that are not
// finished, as they are at the time of the call: in the order in which they run, the parked
// ones last. Of its messages to other actors it has those that are parked.
func (c *Context[S]) Scheduled() iter.Seq[Scheduled] {
	ms := c.turn.Messages()
	all := ms.Scheduled()
	return func(yield func(Scheduled) bool) {
		for i := range all {
			m := &all[i]
			w := Scheduled{MessageID(ms.IDOf(m)), m.Label, m.Type, m.Due, m.Spec, m.Tries, m.Parked, Ref{}}
			if m.To != "" {
				w.To = refOf(host.Ref{Name: m.Name, Key: m.Key})
			}
			if !yield(w) {
				return
			}
		}
	}
}

// MessageID returns the id of the message that the turn handles, empty in other turns.
func (c *Context[S]) MessageID() MessageID {
	_, id := c.turn.Messages().Handling()
	return MessageID(id)
}

// Due returns when the message that the turn handles was due, zero in other turns.
func (c *Context[S]) Due() time.Time {
	if m, _ := c.turn.Messages().Handling(); m != nil {
		return m.Due
	}
	return time.Time{}
}
