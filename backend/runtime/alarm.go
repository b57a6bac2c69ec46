package runtime

import (
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// alarm wakes the goroutine of an instance when its next message is due.
type alarm struct {
	in    *instance
	at    time.Time // zero: it is not set
	timer *time.Timer

	// waiting is set while an alarmEnvelope is in the mailbox, so that there is at most one:
	// each request that finds a message due would add another.
	waiting *atomic.Bool
}

func newAlarm(in *instance) alarm { return alarm{in: in, waiting: new(atomic.Bool)} }

// set sets the alarm to a time; zero: never.
func (a *alarm) set(at time.Time) {
	if at.Equal(a.at) {
		return
	}
	a.at = at
	if at.IsZero() {
		a.timer.Stop()
		return
	}
	wait := at.Sub(a.in.actor.node.now())
	if a.timer == nil {
		a.timer = time.AfterFunc(wait, func() {
			if a.waiting.CompareAndSwap(false, true) {
				a.in.actor.box.post(&alarmEnvelope{in: a.in})
			}
		})
		return
	}
	a.timer.Reset(wait)
}

// stop ends the alarm.
func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// alarmEnvelope makes the actor's goroutine run the messages that are due.
type alarmEnvelope struct{ in *instance }

func (m *alarmEnvelope) size() int                  { return 0 }
func (m *alarmEnvelope) refuse(*Actor, *host.Fault) {}

func (m *alarmEnvelope) deliver(in *instance) bool {
	if m.in == in {
		in.messages.alarm.waiting.Store(false)
		in.messages.rearm() // it may have rung meanwhile, or a moment too early
		if len(in.conns.all) == 0 && time.Since(in.actor.lastUsed) >= in.def.Options.IdleAfter {
			in.actor.box.post(idleEnvelope{}) // it stayed in memory for this
		}
	}
	return true
}

// rearm sets the alarm again, whether or not it has rung.
func (ms *messages) rearm() {
	ms.alarm.at = time.Time{}
	ms.arm()
}

// soon reports whether the next message is so soon that the actor stays in memory for it.
func (ms *messages) soon() bool {
	next := ms.nextRun()
	return ms.in.stored && !next.IsZero() && next.Sub(ms.in.actor.node.now()) < ms.in.def.Options.IdleAfter
}

// arm sets the alarm to the next message, or to the end of an actor that is not used. Messages
// of an actor that is not stored wait for its first commit, and sends has a timer of its own.
func (ms *messages) arm() {
	if !ms.in.stored {
		return
	}
	at := earlier(ms.nextRun(), ms.in.life.due())
	if held := ms.in.actor.hold.left(); held > 0 && !at.IsZero() {
		at = later(at, ms.in.actor.node.now().Add(held))
	}
	if !at.IsZero() {
		at = later(at, ms.trialAt)
	}
	ms.alarm.set(at)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// maxDueTurns is how many messages run before the actor looks after its mailbox.
const maxDueTurns = 32

// runDue runs messages that are due. It reports false if the instance was abandoned
// meanwhile.
func (ms *messages) runDue() bool {
	if len(ms.queue) == 0 || !ms.in.stored {
		return true
	}
	if ms.in.actor.hold.left() > 0 {
		ms.rearm()
		return true
	}
	for range maxDueTurns {
		now := ms.in.actor.node.now()
		if ms.trialAt.Sub(now) > maxTrial {
			ms.trialAt = time.Time{} // the clock was set back
		}
		if next := ms.nextRun(); next.IsZero() || next.After(now) || ms.trialAt.After(now) || ms.in.state.broken != nil || ms.in.life.over {
			break
		}
		if ms.in.actor.gate.room() != nil {
			return true // the pending reset loads them again
		}
		if !ms.in.actor.node.partitions.has(ms.in.actor) {
			return true // the next owner runs them
		}
		m := ms.queue[0]
		if done, ok := ms.skip(m, now); !ok {
			return false
		} else if done {
			continue
		}
		if run, ok := ms.mayRun(m); !ok {
			return false
		} else if run && !(ms.handle(ms.byID[m.ID], now) && ms.endTrial(m)) {
			return false
		}
	}
	ms.rearm()
	return true
}
