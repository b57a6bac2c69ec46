// Package warnings has what may be a mistake.
package warnings

import "github.com/troupe-dev/troupe/backend/actor"

type Ctx = actor.Context[actor.NoState]

type Box struct{ N int }

type UserID int64

type Hash uint64

//troupe:ts number
type Small uint64

type Item struct {
	Total   uint64  `json:"total"`   // warn "Item.total: JavaScript rounds integers above 2^53: tag it `json:\"total,string\"`, or `ts:\"number\"`"
	OrderID int64   `json:"orderId"` // warn "Item.orderId: "
	User    UserID  `json:"user"`    // warn "Item.user: "
	Hash    Hash    `json:"hash"`    // warn "Item.hash: "
	Texts   uint64  `json:"texts,string"`
	Number  uint64  `json:"number" ts:"number"`
	Small   Small   `json:"small"`
	Count   int     `json:"count"`
	Time    int64   `json:"time"`
	Part    float64 `json:"part"`
}

func (b Box) Get(*Ctx) Item { return Item{} }

func (b Box) Total(*Ctx) uint64 { return 0 } // warn "Box.Total: its result: JavaScript rounds integers above 2^53: use a string"

func (b *Box) Take(_ *Ctx, userID int64, n int) {} // warn "Box.Take: parameter 1: "

func (b *Box) Add(n int) {} // warn "method Add is not an action: write func (b *Box) Add(c *actor.Context[…], …), or give it a lower-case name"

func (b Box) String() string { return "" }

func (b *Box) add(n int) {}

func (b *Box) OnStart(*Ctx) {}

type empty struct{}

type fill struct{ N int }

func (b *Box) empty(_ *Ctx, _ empty) error { return nil }

func (b Box) fill(_ *Ctx, _ fill) error { return nil } // warn "method fill handles messages, but its receiver is a value: what it changes is lost; write func (b *Box) fill"

var Registry = actor.NewRegistry(actor.Define[Box]("box",
	actor.Handles((*Box).empty),
	actor.Handles((*Box).fill),
))
