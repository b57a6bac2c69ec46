package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/troupe-dev/troupe/backend/store"
)

// Recurrence says when a message repeats: each Interval, or at the times of Cron in a time
// zone.
type Recurrence struct {
	Interval   time.Duration
	Cron, Zone string
	SkipLate   time.Duration // not 0: what is later than this does not run
}

const minInterval = time.Second

// cronParser accepts five fields, or @daily and the like.
var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// spec returns the stored form.
func (r Recurrence) spec() string {
	spec := "every " + r.Interval.String()
	if r.Cron != "" {
		spec = "cron " + r.Cron + "; zone " + r.Zone
	}
	if r.SkipLate > 0 {
		spec += "; skip " + r.SkipLate.String()
	}
	return spec
}

// grid is the times at which a message repeats.
type grid struct {
	interval time.Duration
	cron     cron.Schedule
	skip     time.Duration
}

// newGrid checks a recurrence.
func newGrid(r Recurrence) (grid, error) {
	g := grid{interval: r.Interval, skip: r.SkipLate}
	if r.Cron == "" {
		if r.Interval < minInterval {
			return g, fmt.Errorf("an interval of %s is too short: want at least %s", r.Interval, minInterval)
		}
		return g, nil
	}
	if strings.HasPrefix(r.Cron, "@every") || strings.Contains(r.Cron, "TZ=") || strings.Contains(r.Cron, ";") {
		return g, fmt.Errorf("the cron expression %q: want five fields as in \"0 9 * * MON-FRI\", or @daily and the like", r.Cron)
	}
	schedule, err := cronParser.Parse(r.Cron)
	if err != nil {
		return g, fmt.Errorf("the cron expression %q: %w", r.Cron, err)
	}
	zone, err := time.LoadLocation(r.Zone)
	if err != nil || r.Zone == "Local" {
		return g, fmt.Errorf("the time zone %q: want a name as in \"Europe/Berlin\", or \"UTC\"", r.Zone)
	}
	if s, ok := schedule.(*cron.SpecSchedule); ok {
		s.Location = zone
	}
	g.cron = schedule
	return g, nil
}

// gridOf returns the grid of a stored spec.
func gridOf(spec string) (grid, error) {
	var r Recurrence
	for part := range strings.SplitSeq(spec, "; ") {
		var err error
		switch kind, value, _ := strings.Cut(part, " "); kind {
		case "every":
			r.Interval, err = time.ParseDuration(value)
		case "cron":
			r.Cron = value
		case "zone":
			r.Zone = value
		case "skip":
			r.SkipLate, err = time.ParseDuration(value)
		default:
			err = errors.New("it is of another version of the server")
		}
		if err != nil {
			return grid{}, fmt.Errorf("the recurrence %q: %w", spec, err)
		}
	}
	return newGrid(r)
}

// after returns the first time of the grid after t, which is not before due, a time of the
// grid; zero if there is none.
func (g *grid) after(due, t time.Time) time.Time {
	if g.cron != nil {
		next := g.cron.Next(t)
		if next.IsZero() {
			return next
		}
		return next.UTC()
	}
	return due.Add((t.Sub(due)/g.interval + 1) * g.interval)
}

// maxMissed is how many missed times are counted.
const maxMissed = 10_000

// missed returns how many times of the grid are after due and not after now.
func (g *grid) missed(due, now time.Time) (n int) {
	if g.cron == nil {
		return int(min(max(now.Sub(due), 0)/g.interval, maxMissed))
	}
	for n < maxMissed {
		if due = g.after(due, due); due.IsZero() || due.After(now) {
			break
		}
		n++
	}
	return n
}

// occurrence returns a message that repeats as it is for another time: a new message, whose
// id outside services have not seen.
func (ms *messages) occurrence(m *store.Message, due time.Time) *store.Message {
	next := *m
	next.ID = ms.nextNumber()
	next.Order, next.Due = next.ID, dueTime(due)
	next.Tries, next.Fatal, next.Retry, next.Parked = 0, 0, time.Time{}, ""
	return &next
}

// following returns what comes after a message at a time: the next one if it repeats, else
// nil.
func (ms *messages) following(m *store.Message, now time.Time) (*store.Message, error) {
	if m.Spec == "" {
		return nil, nil
	}
	g, err := gridOf(m.Spec)
	if err != nil {
		return nil, err
	}
	due := g.after(m.Due, now)
	if due.IsZero() || due.Year() > 9999 {
		return nil, nil
	}
	return ms.occurrence(m, due), nil
}

// advance ends a message without effect: it is removed, or goes on at its next time.
func (ms *messages) advance(m, following *store.Message) {
	ms.edit(m, nil)
	if following != nil {
		ms.edit(nil, following)
	}
}

// skip makes a commit in which a message that is too late goes on at the first time of its
// grid that is not, if it repeats and has asked for that. done is false if it is not too
// late; ok is false if the instance was abandoned meanwhile.
func (ms *messages) skip(m *store.Message, now time.Time) (done, ok bool) {
	if !strings.Contains(m.Spec, "; skip ") {
		return false, true
	}
	g, err := gridOf(m.Spec)
	if err != nil || now.Sub(m.Due) <= g.skip {
		return false, true // its turn fails for the error
	}
	due := g.after(m.Due, now.Add(-g.skip-1))
	ms.in.actor.logger().Warn("message skipped: it is too late", "message", m.Type, "name", m.Label, "due", m.Due, "next", due)
	return true, ms.record(m, func() {
		var next *store.Message
		if !due.IsZero() {
			next = ms.occurrence(m, due)
		}
		ms.advance(m, next)
	})
}

// Repeat has a handler get a message again and again. It changes nothing if the message of
// the name is the same.
func (m Messages) Repeat(name string, r Recurrence, message any) {
	if !m.writable("schedule a message") {
		return
	}
	if name == "" {
		m.t.Fail(errors.New("a message that repeats needs a name"))
		return
	}
	g, err := newGrid(r)
	if err != nil {
		m.t.Fail(fmt.Errorf("repeat %q: %w", name, err))
		return
	}
	typ, data, err := m.encode(message)
	if err != nil {
		m.t.Fail(err)
		return
	}
	ms, spec := m.t.in.messages, r.spec()
	old := ms.byLabel[name]
	if old != nil && old.Parked == "" && old.Spec == spec && old.Type == typ && sameJSON(old.Data, data) {
		return
	}
	now := ms.in.actor.node.now()
	due := g.after(now, now)
	if due.IsZero() {
		m.t.Fail(fmt.Errorf("repeat %q: the cron expression %q names no time", name, r.Cron))
		return
	}
	if old != nil {
		ms.edit(old, nil)
	}
	number := ms.nextNumber()
	m.add(&store.Message{
		ID: number, Order: number, Type: typ, Version: m.t.in.def.Version(), Data: data, Due: dueTime(due), Label: name, Spec: spec,
	})
}

// sameJSON reports whether two messages have the same JSON. Stores may keep it without
// white space.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var one, two bytes.Buffer
	return json.Compact(&one, a) == nil && json.Compact(&two, b) == nil && bytes.Equal(one.Bytes(), two.Bytes())
}

// Missed returns how many more times the message that the turn handles was due before it
// ran, if it repeats.
func (m Messages) Missed() int {
	msg, _ := m.Handling()
	if msg == nil || msg.Spec == "" {
		return 0
	}
	g, err := gridOf(msg.Spec)
	if err != nil {
		return 0
	}
	return g.missed(msg.Due, m.t.in.actor.node.now())
}
