package actor

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// EmitOption is an option of Broadcast and Send: Where, Except, Volatile or
// Latest.
type EmitOption func(*Emission)

// Emission is what an EmitOption changes.
type Emission struct {
	volatile bool
	latest   string // empty, or '=' and the key
	where    []func(*turn) func(*conn) bool
	except   []uint32
}

// Where restricts a broadcast to the connections for which f returns true. f is
// called at once, for every connection of the actor. S is the actor's connection
// state type.
func Where[S any](f func(*Conn[S]) bool) EmitOption {
	return func(e *Emission) {
		e.where = append(e.where, func(t *turn) func(*conn) bool {
			var h handles[S] // not of the option, which may be used by several turns at a time
			return func(c *conn) bool { return f(h.of(t, c)) }
		})
	}
}

// Except leaves connections out of a broadcast.
func Except[S any](conns ...*Conn[S]) EmitOption {
	return func(e *Emission) {
		for _, c := range conns {
			e.except = append(e.except, c.conn.num)
		}
	}
}

// Volatile makes an event one of which only the present matters: it is not
// stored, not replayed after a reconnection, and may be dropped for a reader that
// is blocked. For cursors, positions, typing.
func Volatile(e *Emission) { e.volatile = true }

// Latest makes an event Volatile, and lets a newer one of the same type and key
// take the place of one that was not delivered yet.
func Latest(key string) EmitOption {
	return func(e *Emission) {
		e.volatile = true
		e.latest = "=" + key // an empty key is one, too
	}
}

// emit adds an event to the turn: to one connection, or a broadcast if to is nil.
func (t *turn) emit(event any, to *conn, options []EmitOption) {
	if to != nil && len(options) == 0 && t.sendAgain(event, to.num) {
		return
	}
	typ, ok := t.in.def.Events[reflect.TypeOf(event)]
	if !ok {
		t.fail(fmt.Errorf("event type %T is not declared: add actor.Emits[%T]() to the definition of %q", event, event, t.in.def.Name))
		return
	}
	if t.readOnly {
		t.fail(host.Faultf(wire.CodeReadOnly, "%s is read-only (it has a value receiver) and cannot emit %s", t.what, typ.Name))
		return
	}
	data, err := jsonshape.Encode(event)
	if err != nil {
		t.fail(fmt.Errorf("encode event %s: %w", typ.Name, err))
		return
	}
	if err := t.in.checkSent(event, data); err != nil {
		t.fail(fmt.Errorf("event %s: %w", typ.Name, err))
		return
	}
	if limit := t.in.def.Options.MaxMessage; len(data) > limit {
		t.fail(tooLarge("event "+typ.Name, len(data), limit))
		return
	}
	e := emission(options)
	if to != nil && t.mergeSend(typ.Name, data, &e, to.num) {
		return
	}
	o := &host.Output{
		Kind: host.OutputEvent, Event: typ.Name, Data: data, Direct: to != nil,
		Numbered: !e.volatile, Volatile: e.volatile, Latest: e.latest,
		Target: t.target(to, &e),
	}
	t.outputs = append(t.outputs, o)
	if to != nil && typ.Steady && len(options) == 0 {
		t.sent, t.sentOutput = event, o
	}
}

// emission applies options. It is apart because they cost memory only if there
// are any.
func emission(options []EmitOption) Emission {
	if len(options) == 0 {
		return Emission{}
	}
	var e Emission
	for _, o := range options {
		o(&e)
	}
	return e
}

func (t *turn) target(to *conn, e *Emission) store.Target {
	switch {
	case to != nil:
		return store.Target{Mode: store.ToOnly, Conns: to.alone[:]}
	case len(e.where) > 0:
		target := store.Target{Mode: store.ToOnly}
		var wanted []func(*conn) bool
		for _, w := range e.where {
			wanted = append(wanted, w(t))
		}
	conns:
		for _, c := range t.conns() {
			if slices.Contains(e.except, c.num) {
				continue
			}
			for _, f := range wanted {
				if !f(c) {
					continue conns
				}
			}
			target.Conns = append(target.Conns, c.num)
		}
		return target
	case len(e.except) > 0:
		slices.Sort(e.except)
		return store.Target{Mode: store.ToExcept, Conns: slices.Compact(e.except)}
	}
	return store.Target{}
}

// mergeSend adds the target of a send to the output before it if that is the
// same event: a loop over connections becomes one entry.
func (t *turn) mergeSend(event string, data []byte, e *Emission, num uint32) bool {
	if len(t.outputs) <= t.sealed {
		return false
	}
	last := t.outputs[len(t.outputs)-1]
	if last.Kind != host.OutputEvent || !last.Direct || last.Event != event || last.Volatile != e.volatile ||
		last.Latest != e.latest || !bytes.Equal(last.Data, data) {
		return false
	}
	return alsoTo(last, num)
}

// sendAgain is mergeSend for a value that equals the last one sent: in a loop
// over connections only the first one costs its encoding.
func (t *turn) sendAgain(event any, num uint32) bool {
	n := len(t.outputs)
	return n > t.sealed && t.outputs[n-1] == t.sentOutput && t.sent == event && alsoTo(t.sentOutput, num)
}

// alsoTo adds a target to an event that was sent to some. The same event twice
// to one connection is two events: it reports false then.
func alsoTo(o *host.Output, num uint32) bool {
	i, found := slices.BinarySearch(o.Target.Conns, num)
	if found {
		return false
	}
	o.Target.Conns = slices.Insert(o.Target.Conns, i, num)
	return true
}
