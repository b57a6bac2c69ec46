// Package all has a type of every kind that can be sent.
package all

import (
	"context"
	"encoding/json"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/typegen/testdata/all/other"
)

// Room is an actor.
type Room struct {
	Items actor.List[Base]          `json:"items"`
	Log   actor.Table[uint64, Base] `json:"log"`
}

// Item has the name of another type.
type Item struct {
	Base
	*Optional
	Named    Base              `json:"named"`
	Pointer  *Item             `json:"pointer"`
	Left     *Item             `json:"left,omitempty"`
	Tree     []Item            `json:"tree"`
	Quoted   int64             `json:"quoted,string"`
	When     time.Time         `json:"when"`
	Bytes    []byte            `json:"bytes"`
	Array    [3]byte           `json:"array"`
	Raw      json.RawMessage   `json:"raw"`
	Any      any               `json:"any,omitempty"`
	Byname   map[string]*Item  `json:"byName"`
	ByNumber map[int][]float32 `json:"byNumber"`
	BySide   map[other.Side]int
	Other    other.Item       `json:"other-item"`
	Page     Page[other.Item] `json:"page"`
	Pages    Page[string]     `json:"pages"`
	Alias    Alias            `json:"alias"`
	Color    Color            `json:"color"`
	Temp     Temperature      `json:"temp"`
	Hinted   any              `json:"hinted" ts:"1 | 2"`
	Inline   struct {
		A int `json:"a"`
		B struct {
			C bool `json:"c"`
		} `json:"b"`
	} `json:"inline"`
	Union   []other.Side `json:"union"`
	Ignored int          `json:"-"`
	Dash    int          `json:"-,"`
	hidden  int
}

// Base is embedded.
type Base struct {
	ID   string `json:"id"`
	Page int    // hidden by a field that is less deep
}

// Optional is embedded, too.
type Optional struct {
	Note string `json:"note"`
}

// Page is a part of a list.
//
// It has more than one line.
type Page[T any] struct {
	Items []T `json:"items"`
	Next  *T  `json:"next,omitzero"`
}

// Alias is another name.
type Alias = map[string]Scores

// Scores is a named map.
type Scores map[string]float64

// Color is what it says.
//
//troupe:ts `#${string}`
type Color struct{ r, g, b byte }

func (Color) MarshalJSON() ([]byte, error) { return []byte(`"#000000"`), nil }

// Temperature is text.
type Temperature int

func (Temperature) MarshalText() ([]byte, error) { return []byte("warm"), nil }

// ItemAdded is like an item.
type ItemAdded Item

// Params has all optional.
type Params struct {
	Token string `json:"token,omitempty"`
}

// Input is what a room is made of.
type Input struct {
	Size int `json:"size"`
}

func (r *Room) OnCreate(c *actor.Context[actor.NoState], in Input) error { return nil }

func (r *Room) OnBeforeConnect(c *actor.ConnectContext, p Params) error { return nil }

// Who is what OnAuth returns, for nobody but the server.
type Who struct{ ID string }

func (Room) OnAuth(context.Context, *actor.AuthRequest) (Who, error) { return Who{}, nil }

func (r *Room) OnRefresh(c *actor.Context[actor.NoState]) error { return nil }

// CanSubscribe is no action.
func (r Room) CanSubscribe(c *actor.Context[actor.NoState], event string) error { return nil }

// Add adds an item. */
func (r *Room) Add(c *actor.Context[actor.NoState], userID string, new other.Item, _ []Item) (*Item, error) {
	return nil, nil
}

func (r Room) Get(c *actor.Context[actor.NoState]) actor.Map[string, Item] {
	return actor.Map[string, Item]{}
}

// Log10 has a position that may be null, and a page as its result.
func (r Room) Log10(c *actor.Context[actor.NoState], before *uint64) actor.Page[uint64, Base] {
	return r.Log.Page(actor.Before(before), 10)
}

// Inner has an argument of an unnamed type.
func (r Room) Inner(c *actor.Context[actor.NoState], at struct{ X, Y int }) error { return nil }

// NotAnAction has no context.
func (r Room) NotAnAction() {}

// Empty has nothing.
type Empty struct{}

// Remind is a message, which clients do not see.
type Remind struct {
	Of   []Item `json:"of"`
	Next *Remind
}

type tick struct{}

func (*Room) remind(_ *actor.Context[actor.NoState], m Remind) error { return nil }

func onTick(*Room, *actor.Context[actor.NoState], tick) error { return nil }

var Registry = actor.NewRegistry(
	actor.Define[Room]("room", actor.Emits[ItemAdded](), actor.Emits[other.Item](), actor.WithOptions(actor.Options{}),
		actor.Handles((*Room).remind), handlesTick),
	actor.Define[Empty]("empty-one"),
	actor.Define[Teller]("teller", actor.Version(1), second),
)

var second = actor.Version(2)

var handlesTick = actor.Handles(onTick)
