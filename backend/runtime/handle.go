package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
)

// Of a message whose handler fails.
const (
	firstRetry = time.Second // at most; doubles with each try
	maxRetry   = 5 * time.Minute
	maxTries   = 10 // then it is parked
)

// A message whose turns may have ended the process, or do not return, is parked after so
// many.
const maxFatal = 3

// hold keeps the messages of an actor from running for a while after it was reset:
// a store that fails would have their handlers run again and again.
type hold struct {
	from time.Time // of the newest reset
	wait time.Duration
}

const (
	firstHold = 100 * time.Millisecond // doubles with each reset that follows soon
	maxHold   = time.Minute
)

func (h *hold) extend() {
	now := time.Now()
	if now.Sub(h.from) > 2*h.wait+time.Second {
		h.wait = 0
	}
	h.from, h.wait = now, min(max(2*h.wait, firstHold), maxHold)
}

// left returns how long the messages still have to wait.
func (h *hold) left() time.Duration {
	if h.wait == 0 {
		return 0
	}
	return max(h.wait-time.Since(h.from), 0)
}

// mayRun reports whether a message that is due may run now, which may take a commit of its
// own. ok is false if the instance was abandoned meanwhile.
//
// A handler that ends the process would do so again after each restart. So after a process
// that did not close the store, the first run of a message that was due at the start is
// counted before it begins. One that was counted before runs alone, see doubts.begin.
func (ms *messages) mayRun(m *store.Message) (run, ok bool) {
	a := ms.in.actor
	if a.stuck == m.ID {
		a.stuck = 0
		return false, ms.fatal(m)
	}
	if !a.node.doubts.has(a, m, runsAt(m)) {
		return true, true
	}
	if m.Fatal+1 >= maxFatal {
		return false, ms.fatal(m)
	}
	if wait := a.node.doubts.begin(a, m); wait > 0 {
		ms.trialAt = a.node.now().Add(wait)
		return false, true
	}
	next := *m
	next.Fatal++
	a.node.doubts.count(a.id, &next)
	if !ms.record(m, func() { ms.edit(m, &next) }) {
		return false, false
	}
	if a.gate.await() != nil {
		return false, true // the pending reset loads it again
	}
	return true, true
}

// acquit has the next commit, which is the last one, take back what this process has counted of
// messages before it began with them: it ends as it should. What others have counted stays, and
// that handlers do not return.
func (ms *messages) acquit() {
	a := ms.in.actor
	for _, id := range slices.Sorted(maps.Keys(ms.byID)) { // it changes meanwhile
		if m := ms.byID[id]; m.Parked == "" && a.node.doubts.counts(a.id, m) {
			next := *m
			next.Fatal--
			ms.in.sends.keep(m, &next)
			ms.in.sends.held = true
		}
	}
}

// endTrial ends what mayRun has begun for a message, when what has become of that is durable. It
// returns true, for its callers.
func (ms *messages) endTrial(m *store.Message) bool {
	a := ms.in.actor
	if a.node.doubts.runs(a.id, m.ID) {
		_ = a.gate.await() // the pending reset ends it, too
		a.node.doubts.end(a.id, m.ID)
	}
	return true
}

// fatal makes a commit that counts a turn which did not return, or may have ended the
// process.
func (ms *messages) fatal(m *store.Message) bool {
	now := ms.in.actor.node.now()
	next := *m
	next.Fatal++
	log := ms.in.actor.logger().With("message", m.Type, "messageID", m.ID, "times", next.Fatal)
	if next.Fatal >= maxFatal {
		if following, err := ms.following(m, now); m.Spec != "" && err == nil {
			log.Error("message given up: its handler does not return, or ends the process; it goes on at its next time")
			return ms.record(m, func() { ms.advance(m, following) })
		}
		next.Parked = "its handler did not return, or ended the process"
		log.Error("message parked: its handler does not return, or ends the process")
	} else {
		next.Retry = dueTime(now.Add(backoff(next.Fatal)))
		log.Warn("message was abandoned; it will be tried again", "at", next.Retry)
	}
	return ms.record(m, func() { ms.edit(m, &next) })
}

// handle runs the handler of a message that is due, as a turn whose commit removes the
// message. It reports false if the instance was abandoned meanwhile.
func (ms *messages) handle(m *store.Message, now time.Time) bool {
	in := ms.in
	t := in.beginMessage(m.Type, m, nil)
	following, err := ms.following(m, now)
	ms.advance(m, following)
	o, ok := t.execute(func() (any, error) {
		if err != nil {
			return nil, err
		}
		return nil, in.def.Handlers.Handle(in.state.value, t, m.Type, m.Version, m.Data)
	})
	if !ok {
		return false
	}
	if o.err == nil {
		in.apply(t, o, reply{})
		return true
	}
	return ms.failed(m, o.cause)
}

// failed makes a commit of what becomes of a message whose turn has failed. An error of
// the author for clients is an answer: the message is finished.
func (ms *messages) failed(m *store.Message, cause error) bool {
	now := ms.in.actor.node.now() // its turn may have lasted
	log := ms.in.actor.logger().With("message", m.Type, "messageID", m.ID)
	if _, _, _, refused := ms.in.def.ClientError(cause); refused {
		log.Warn("message refused by its handler", "error", cause)
		return ms.record(m, func() {
			following, _ := ms.following(m, now)
			ms.advance(m, following)
		})
	}
	next := *m
	next.Fatal = 0
	if next.Tries++; next.Tries >= maxTries {
		if following, err := ms.following(m, now); m.Spec != "" && err == nil {
			log.Error("message given up: its handler keeps failing; it goes on at its next time", "tries", next.Tries, "error", cause)
			return ms.record(m, func() { ms.advance(m, following) })
		}
		next.Parked = parkedText(cause)
		log.Error("message parked: its handler keeps failing", "tries", next.Tries, "error", cause)
	} else {
		next.Retry = dueTime(now.Add(backoff(next.Tries)))
		log.Warn("message failed; it will be tried again", "tries", next.Tries, "at", next.Retry, "error", cause)
	}
	return ms.record(m, func() { ms.edit(m, &next) })
}

// backoff returns how long to wait after a number of tries: any time up to a bound that
// doubles (full jitter), so that what has failed together is not tried again together.
func backoff(tries int) time.Duration {
	bound := maxRetry
	if tries < 10 {
		bound = min(bound, firstRetry<<(tries-1))
	}
	return rand.N(bound) + 1
}

// parkedText returns why a message is parked, as it is stored.
func parkedText(cause error) string {
	const maxText = 1_000
	text := fmt.Sprint(cause) // also of an Error that panics
	if len(text) > maxText {
		text = text[:maxText]
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if unhandled := (*definition.UnhandledError)(nil); errors.As(cause, &unhandled) {
		return unhandledPrefix + text
	}
	return cmp.Or(text, "it failed")
}

// unhandledPrefix begins the text of messages that were parked because the program had no
// handler for them. They are tried again when it has one.
const unhandledPrefix = "not handled: "

// unpark returns a stored message as the instance begins with it.
func unpark(d *definition.Definition, m *store.Message) *store.Message {
	if m.To != "" || !strings.HasPrefix(m.Parked, unhandledPrefix) {
		return m
	}
	if _, err := d.Handlers.Find(m.Type, m.Version); err != nil {
		return m
	}
	again := *m
	again.Parked, again.Tries, again.Fatal, again.Retry = "", 0, 0, time.Time{}
	return &again
}

// record makes a commit of edits because of a message, without a turn of the author. It
// reports false if the instance was abandoned meanwhile.
func (ms *messages) record(m *store.Message, edit func()) bool {
	t := ms.in.begin(m.Type, ms.in.def.Options.ActionTimeout, nil)
	t.readOnly = true
	o, ok := t.execute(func() (any, error) {
		edit()
		return nil, nil
	})
	if ok {
		ms.in.apply(t, o, reply{bare: true})
	}
	return ok
}
