package runtime

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Emission has the options of an event. The zero Emission is stored and goes to all
// connections that subscribe to the event.
type Emission struct {
	Volatile bool
	Latest   string                         // empty, or '=' and the key
	Where    []func(*Turn) func(*Conn) bool // all must agree
	Except   []uint32                       // numbers of connections
}

func (e *Emission) isZero() bool {
	return !e.Volatile && e.Latest == "" && len(e.Where) == 0 && len(e.Except) == 0
}

// Emit adds an event to the turn: to one connection, or a broadcast if to is nil.
func (t *Turn) Emit(event any, to *Conn, e Emission) {
	simple := e.isZero()
	if to != nil && simple && t.out.sendAgain(event, to.num) {
		return
	}
	typ, ok := t.in.def.Events[reflect.TypeOf(event)]
	if !ok {
		t.Fail(t.undeclared(event))
		return
	}
	if t.readOnly {
		t.Fail(host.Faultf(wire.CodeReadOnly, "%s is read-only (it has a value receiver) and cannot emit %s", t.what, typ.Name))
		return
	}
	data, err := jsonshape.Encode(event)
	if err != nil {
		t.Fail(fmt.Errorf("encode event %s: %w", typ.Name, err))
		return
	}
	if err := t.checkSent(event, data); err != nil {
		t.Fail(fmt.Errorf("event %s: %w", typ.Name, err))
		return
	}
	if jsonshape.TooDeep(reflect.TypeOf(event), data) {
		t.Fail(definition.TooDeepFault("event " + typ.Name))
		return
	}
	if limit := t.in.def.Options.MaxMessage; len(data) > limit {
		t.Fail(tooLargeFault("event "+typ.Name, len(data), limit))
		return
	}
	if to != nil && t.out.mergeSend(typ.Name, data, &e, to.num) {
		return
	}
	o := &host.Output{
		Kind: host.OutputEvent, Event: typ.Name, Data: data, Direct: to != nil,
		Numbered: !e.Volatile, Volatile: e.Volatile, Latest: e.Latest,
		Target: t.target(to, &e),
	}
	t.out.add(o)
	if to != nil && typ.Deterministic && simple {
		t.out.sent, t.out.sentOutput = event, o
	}
}

// undeclared returns the error of an event that the definition does not declare.
func (t *Turn) undeclared(event any) error {
	typ := reflect.TypeOf(event)
	if typ == nil {
		return errors.New("the event is nil: want a value of a type that is declared with actor.Emits")
	}
	pointer := ""
	for typ.Kind() == reflect.Pointer {
		typ, pointer = typ.Elem(), fmt.Sprintf("an event is a value, not a %T: pass what it points to", event)
	}
	if _, ok := t.in.def.Events[typ]; ok {
		return errors.New(pointer)
	}
	if pointer != "" {
		pointer = "; " + pointer
	}
	return fmt.Errorf("event type %s is not declared: add actor.Emits[%s]() to the definition of %q%s", typ, typ, t.in.def.Name, pointer)
}

func (t *Turn) target(to *Conn, e *Emission) store.Target {
	switch {
	case to != nil:
		return store.Target{Mode: store.ToOnly, Conns: to.alone[:]}
	case len(e.Where) > 0:
		target := store.Target{Mode: store.ToOnly}
		var wanted []func(*Conn) bool
		for _, w := range e.Where {
			wanted = append(wanted, w(t))
		}
	conns:
		for _, c := range t.Conns() {
			if slices.Contains(e.Except, c.num) {
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
	case len(e.Except) > 0:
		slices.Sort(e.Except)
		return store.Target{Mode: store.ToExcept, Conns: slices.Compact(e.Except)}
	}
	return store.Target{}
}
