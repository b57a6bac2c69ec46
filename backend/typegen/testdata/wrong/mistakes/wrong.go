// Package wrong has mistakes that compile.
package wrong

import "github.com/troupe-dev/troupe/backend/actor"

type Ctx = actor.Context[actor.NoState]

type Box struct {
	N      int                      `json:"n"`
	Tags   []string                 `json:"tags"`
	By     map[string]int           `json:"by"`
	Inner  struct{ Deep [3]int }    `json:"inner"`
	List   actor.List[string]       `json:"list"`
	Map    actor.Map[string, int]   `json:"map"`
	Table  actor.Table[int, string] `json:"-"`
	Before *Box                     `json:"before"`
}

func (b Box) Add(*Ctx) int { b.N++; return b.N } // want "Add has a value receiver, so it is read-only, and this change of b.N is not stored: write func (b *Box) Add(…)"

func (b Box) Assign(_ *Ctx, n int) { b.N = n } // want "change of b.N"

func (b Box) AddMore(_ *Ctx, n int) int { (b).N += n; return b.N } // want "change of (b).N"

func (b Box) Several(*Ctx) { x := 0; x, b.Inner.Deep[1] = 1, x } // want "change of b.Inner.Deep[1]"

func (b Box) Element(*Ctx) { b.Tags[0] = "x" } // want "change of b.Tags[0]"

func (b Box) Entry(*Ctx) { b.By["x"]++ } // want "change of b.By[\"x\"]"

func (b Box) Pointed(*Ctx) { b.Before.N = 1 } // want "change of b.Before.N"

func (b Box) All(*Ctx) { b = Box{} } // want "change of b is not stored"

func (b Box) Append(*Ctx) { b.List.Append("x") } // want "change of b.List"

func (b Box) Set(*Ctx) { b.Map.Set("x", 1) } // want "change of b.Map"

func (b Box) Delete(*Ctx) { b.Table.Delete(1) } // want "change of b.Table"

func (b Box) Inside(*Ctx) {
	func() {
		b.N = 1 // want "change of b.N"
	}()
}

func (b Box) helper() { b.N = 1 } // want "helper has a value receiver"

// These are right.

func (b Box) Redacted(*Ctx) Box { b.Tags = nil; return b }

func (b Box) Doubled(*Ctx) int { b.N *= 2; return b.sum() }

func (b Box) sum() int { return b.N }

func (b Box) Local(*Ctx) int { n := b.N; n++; return n + b.List.Len() }

func (b *Box) Pointer(*Ctx) { b.N++; b.helper() }

func (Box) Nameless(*Ctx) {}

// OnConnected and the next ones are no hooks.
func (b *Box) OnConnected(*Ctx) {} // want "method OnConnected: there is no hook of this name: did you mean OnConnect("

func (b *Box) OnDisconect() {} // want "did you mean OnDisconnect("

func (b *Box) OnSleep(*Ctx) {} // want "method OnSleep: there is no hook of this name, and names that begin with On are for hooks"

func (b *Box) CanSubscibe(*Ctx, string) error { return nil } // want "almost has the name of one: did you mean CanSubscribe("

// CanUnsubscribe and Restore only resemble hooks.
func (b *Box) CanUnsubscribe(*Ctx, string) {}

func (b *Box) Restore(*Ctx) {}

func (b *Box) CreateConnectionState(*actor.ConnectContext) (int, error) { return 0, nil } // want "did you mean CreateConnState("

func (b *Box) OnStart(*Ctx) {}

func (b *Box) Then(*Ctx) {} // want "the action name \"then\" is reserved: the client uses it itself; rename the method Then"

type Connected struct{}

type Moved struct{ x, y int } // want "Moved has no exported fields, so that its JSON is always {}: write X instead of x"

type Pointed struct{}

var Registry = actor.NewRegistry(actor.Define[Box]("box",
	actor.Emits[Moved](),
	actor.Emits[Connected](), // want "the event name \"connected\" is reserved"
	actor.Emits[*Pointed](),  // want "the type of an event must be a named type: write actor.Emits[Pointed](), and c.Broadcast(Pointed{…})"
), actor.Define[Box]("catch")) // want "the name \"catch\" is reserved"
