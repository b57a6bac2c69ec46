// Package wrong has types that cannot be JSON, or do not say what their JSON is.
package wrong

import (
	"fmt"
	"math/big"

	"github.com/troupe-dev/troupe/backend/actor"
)

type Room struct{}

type Ctx = actor.Context[actor.NoState]

type Own struct{}

func (Own) MarshalJSON() ([]byte, error) { return nil, nil }

type ByPointer struct{}

func (*ByPointer) MarshalText() ([]byte, error) { return nil, nil }

type OnlyRead struct{}

func (*OnlyRead) UnmarshalJSON([]byte) error { return nil }

//troupe:ts { a?: string }
type Hinted struct { // want "the directive troupe:ts is for types with a MarshalJSON"
	A string `json:"a"`
}

type Loop *Loop

type Fields struct {
	Complex  complex128         `json:"complex"` // want "Fields.complex: complex128 cannot be JSON"
	Func     func()             // want "Fields.Func: func() cannot be JSON: leave it out"
	Stringer fmt.Stringer       `json:"stringer"` // want "Fields.stringer: an interface with methods"
	Keys     map[[2]int]string  `json:"keys"`     // want "Fields.keys: a map with keys of [2]int cannot be JSON"
	Deep     []map[string]error `json:"deep"`     // want "Fields.deep[][…]: an interface with methods"
	Big      *big.Int           `json:"big"`      // want "Fields.big: big.Int has a MarshalJSON of its own: say what it writes"
	Fine     chan int           `json:"-"`
	Hint     chan int           `ts:"unknown"`
	Hinted   Hinted             `json:"hinted"`
	Loop     Loop               `json:"loop"` // want "Loop is a named pointer"
}

func (r Room) Take(_ *Ctx, n int, c chan int) {} // want "Room.Take: parameter 2: chan int cannot be JSON"

func (r Room) Own(*Ctx) Own { return Own{} } // want "Room.Own: its result: "

func (r Room) ByPointer(*Ctx) ByPointer { return ByPointer{} } // want "MarshalText of ByPointer has a pointer receiver"

func (r Room) Pointed(*Ctx) *ByPointer { return nil }

func (r Room) OnlyRead(*Ctx, OnlyRead) {} // want "has UnmarshalJSON without MarshalJSON"

func (r Room) Fields(*Ctx, Fields) {}

func (r Room) Whole(*Ctx) actor.Table[int, string] { return actor.Table[int, string]{} } // want "actor.Table[int, string] cannot be sent"

var Registry = actor.NewRegistry(actor.Define[Room]("room"))
