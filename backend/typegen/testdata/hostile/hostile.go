// Package hostile has names that mean something in TypeScript.
package hostile

import troupe "github.com/troupe-dev/troupe/backend/actor"

// Room is an actor.
type Room struct{}

// Kind is a union that is a key of maps.
type Kind string

// A and B are the kinds.
const (
	A Kind = "a"
	B Kind = "b"
)

// Everything has a field of each type.
type Everything struct {
	ByKind           map[Kind]int   `json:"byKind"`
	ByName           map[string]int `json:"byName"`
	Empty            Empty          `json:"empty"`
	Proto            int            `json:"__proto__"`
	New              int            `json:"new"`
	Dash             int            `json:"a-b"`
	Digit            int            `json:"1"`
	Unicode          int            `json:"äöü"`
	PartialField     Partial        `json:"Partial"`
	RecordField      Record         `json:"Record"`
	RegistryField    Registry       `json:"Registry"`
	ArrayField       Array          `json:"Array"`
	ObjectField      Object         `json:"Object"`
	StringField      String         `json:"String"`
	NumberField      Number         `json:"Number"`
	BooleanField     Boolean        `json:"Boolean"`
	SymbolField      Symbol         `json:"Symbol"`
	FunctionField    Function       `json:"Function"`
	PromiseField     Promise        `json:"Promise"`
	MapField         Map            `json:"Map"`
	SetField         Set            `json:"Set"`
	DateField        Date           `json:"Date"`
	ErrorField       Error          `json:"Error"`
	EventField       Event          `json:"Event"`
	RegExpField      RegExp         `json:"RegExp"`
	JSONField        JSON           `json:"JSON"`
	MathField        Math           `json:"Math"`
	BigIntField      BigInt         `json:"BigInt"`
	ReadonlyField    Readonly       `json:"Readonly"`
	RequiredField    Required       `json:"Required"`
	PickField        Pick           `json:"Pick"`
	OmitField        Omit           `json:"Omit"`
	ExcludeField     Exclude        `json:"Exclude"`
	ExtractField     Extract        `json:"Extract"`
	NonNullableField NonNullable    `json:"NonNullable"`
	ReturnTypeField  ReturnType     `json:"ReturnType"`
	AwaitedField     Awaited        `json:"Awaited"`
	InferField       Infer          `json:"Infer"`
	NeverField       Never          `json:"Never"`
	UnknownField     Unknown        `json:"Unknown"`
	AnyField         Any            `json:"Any"`
	UndefinedField   Undefined      `json:"Undefined"`
	NullField        Null           `json:"Null"`
	VoidField        Void           `json:"Void"`
	KeyofField       Keyof          `json:"Keyof"`
	TypeofField      Typeof         `json:"Typeof"`
	GlobalField      Global         `json:"Global"`
	GlobalThisField  GlobalThis     `json:"GlobalThis"`
	WindowField      Window         `json:"Window"`
	DocumentField    Document       `json:"Document"`
	ReactField       React          `json:"React"`
	ReactNodeField   ReactNode      `json:"ReactNode"`
	ComponentField   Component      `json:"Component"`
	ElementField     Element        `json:"Element"`
	JSXField         JSX            `json:"JSX"`
	FragmentField    Fragment       `json:"Fragment"`
	PropsField       Props          `json:"Props"`
	RefField         Ref            `json:"Ref"`
	KeyField         Key            `json:"Key"`
	IteratorField    Iterator       `json:"Iterator"`
	GeneratorField   Generator      `json:"Generator"`
	ProxyField       Proxy          `json:"Proxy"`
	Uint8ArrayField  Uint8Array     `json:"Uint8Array"`
	ArrayBufferField ArrayBuffer    `json:"ArrayBuffer"`
	ResponseField    Response       `json:"Response"`
	RequestField     Request        `json:"Request"`
	PartialLower     partial        `json:"partial"`
	RegistryLower    registry       `json:"registry"`
	StringXLower     string_        `json:"string_"`
	NumberLower      number         `json:"number"`
	NeverLower       never          `json:"never"`
	UnknownLower     unknown        `json:"unknown"`
	AnyXLower        any_           `json:"any_"`
	UndefinedLower   undefined      `json:"undefined"`
	NullLower        null           `json:"null"`
	VoidLower        void           `json:"void"`
	SymbolLower      symbol         `json:"symbol"`
	ObjectLower      object         `json:"object"`
	BigintLower      bigint         `json:"bigint"`
	DeclareLower     declare        `json:"declare"`
	ModuleLower      module         `json:"module"`
	NamespaceLower   namespace      `json:"namespace"`
	ReadonlyLower    readonly       `json:"readonly"`
	InferLower       infer          `json:"infer"`
	KeyofLower       keyof          `json:"keyof"`
	ActorLower       actor          `json:"actor"`
}

// Empty has no fields.
type Empty struct{}

type (
	Partial struct {
		N int `json:"n"`
	}
	Record struct {
		N int `json:"n"`
	}
	Registry struct {
		N int `json:"n"`
	}
	Array struct {
		N int `json:"n"`
	}
	Object struct {
		N int `json:"n"`
	}
	String struct {
		N int `json:"n"`
	}
	Number struct {
		N int `json:"n"`
	}
	Boolean struct {
		N int `json:"n"`
	}
	Symbol struct {
		N int `json:"n"`
	}
	Function struct {
		N int `json:"n"`
	}
	Promise struct {
		N int `json:"n"`
	}
	Map struct {
		N int `json:"n"`
	}
	Set struct {
		N int `json:"n"`
	}
	Date struct {
		N int `json:"n"`
	}
	Error struct {
		N int `json:"n"`
	}
	Event struct {
		N int `json:"n"`
	}
	RegExp struct {
		N int `json:"n"`
	}
	JSON struct {
		N int `json:"n"`
	}
	Math struct {
		N int `json:"n"`
	}
	BigInt struct {
		N int `json:"n"`
	}
	Readonly struct {
		N int `json:"n"`
	}
	Required struct {
		N int `json:"n"`
	}
	Pick struct {
		N int `json:"n"`
	}
	Omit struct {
		N int `json:"n"`
	}
	Exclude struct {
		N int `json:"n"`
	}
	Extract struct {
		N int `json:"n"`
	}
	NonNullable struct {
		N int `json:"n"`
	}
	ReturnType struct {
		N int `json:"n"`
	}
	Awaited struct {
		N int `json:"n"`
	}
	Infer struct {
		N int `json:"n"`
	}
	Never struct {
		N int `json:"n"`
	}
	Unknown struct {
		N int `json:"n"`
	}
	Any struct {
		N int `json:"n"`
	}
	Undefined struct {
		N int `json:"n"`
	}
	Null struct {
		N int `json:"n"`
	}
	Void struct {
		N int `json:"n"`
	}
	Keyof struct {
		N int `json:"n"`
	}
	Typeof struct {
		N int `json:"n"`
	}
	Global struct {
		N int `json:"n"`
	}
	GlobalThis struct {
		N int `json:"n"`
	}
	Window struct {
		N int `json:"n"`
	}
	Document struct {
		N int `json:"n"`
	}
	React struct {
		N int `json:"n"`
	}
	ReactNode struct {
		N int `json:"n"`
	}
	Component struct {
		N int `json:"n"`
	}
	Element struct {
		N int `json:"n"`
	}
	JSX struct {
		N int `json:"n"`
	}
	Fragment struct {
		N int `json:"n"`
	}
	Props struct {
		N int `json:"n"`
	}
	Ref struct {
		N int `json:"n"`
	}
	Key struct {
		N int `json:"n"`
	}
	Iterator struct {
		N int `json:"n"`
	}
	Generator struct {
		N int `json:"n"`
	}
	Proxy struct {
		N int `json:"n"`
	}
	Uint8Array struct {
		N int `json:"n"`
	}
	ArrayBuffer struct {
		N int `json:"n"`
	}
	Response struct {
		N int `json:"n"`
	}
	Request struct {
		N int `json:"n"`
	}
	partial struct {
		N int `json:"n"`
	}
	registry struct {
		N int `json:"n"`
	}
	string_ struct {
		N int `json:"n"`
	}
	number struct {
		N int `json:"n"`
	}
	never struct {
		N int `json:"n"`
	}
	unknown struct {
		N int `json:"n"`
	}
	any_ struct {
		N int `json:"n"`
	}
	undefined struct {
		N int `json:"n"`
	}
	null struct {
		N int `json:"n"`
	}
	void struct {
		N int `json:"n"`
	}
	symbol struct {
		N int `json:"n"`
	}
	object struct {
		N int `json:"n"`
	}
	bigint struct {
		N int `json:"n"`
	}
	declare struct {
		N int `json:"n"`
	}
	module struct {
		N int `json:"n"`
	}
	namespace struct {
		N int `json:"n"`
	}
	readonly struct {
		N int `json:"n"`
	}
	infer struct {
		N int `json:"n"`
	}
	keyof struct {
		N int `json:"n"`
	}
	actor struct {
		N int `json:"n"`
	}
)

type ctx = troupe.Context[troupe.NoState]

// All is an action that takes and returns everything.
func (r *Room) All(_ *ctx, e Everything) Everything { return e }

func (r *Room) New(_ *ctx, n int) int { return n }

func (r *Room) Delete(_ *ctx, n int) int { return n }

func (r *Room) Class(_ *ctx, n int) int { return n }

func (r *Room) Function(_ *ctx, n int) int { return n }

func (r *Room) Default(_ *ctx, n int) int { return n }

func (r *Room) Void(_ *ctx, n int) int { return n }

func (r *Room) With(_ *ctx, n int) int { return n }

func (r *Room) Yield(_ *ctx, n int) int { return n }

func (r *Room) Await(_ *ctx, n int) int { return n }

func (r *Room) Static(_ *ctx, n int) int { return n }

func (r *Room) Get(_ *ctx, n int) int { return n }

func (r *Room) Set(_ *ctx, n int) int { return n }

func (r *Room) Prototype(_ *ctx, n int) int { return n }

func (r *Room) Arguments(_ *ctx, n int) int { return n }

func (r *Room) Eval(_ *ctx, n int) int { return n }

func (r *Room) Typeof(_ *ctx, n int) int { return n }

func (r *Room) Instanceof(_ *ctx, n int) int { return n }

func (r *Room) In(_ *ctx, n int) int { return n }

func (r *Room) Super(_ *ctx, n int) int { return n }

func (r *Room) This(_ *ctx, n int) int { return n }

func (r *Room) Enum(_ *ctx, n int) int { return n }

func (r *Room) Export(_ *ctx, n int) int { return n }

func (r *Room) Extends(_ *ctx, n int) int { return n }

func (r *Room) Null(_ *ctx, n int) int { return n }

func (r *Room) True(_ *ctx, n int) int { return n }

func (r *Room) False(_ *ctx, n int) int { return n }

func (r *Room) Undefined(_ *ctx, n int) int { return n }

func (r *Room) Async(_ *ctx, n int) int { return n }

func (r *Room) Of(_ *ctx, n int) int { return n }

func (r *Room) As(_ *ctx, n int) int { return n }

func (r *Room) Is(_ *ctx, n int) int { return n }

func (r *Room) Readonly(_ *ctx, n int) int { return n }

func (r *Room) Declare(_ *ctx, n int) int { return n }

func (r *Room) Type(_ *ctx, n int) int { return n }

// Params has parameters that are words of TypeScript.
func (r *Room) Params(_ *ctx, arguments, await, catch, class, debugger, delete, do, enum, eval, export, extends, false, finally, function, implements, in, instanceof, let, new, null, private, protected, public, static, super, this, throw, true, try, typeof, void, while, with, yield, undefined, NaN, infinity, async, of, as, is, any, number, object, symbol, never, unknown, readonly, declare, constructor, prototype, __proto__, get, set, abstract int) int {
	return 0
}

var Rooms = troupe.NewRegistry(
	troupe.Define[Room]("room", troupe.Emits[Event](), troupe.Emits[Function](), troupe.Emits[Null](), troupe.Emits[Everything]()),
	troupe.Define[Room]("new"),
	troupe.Define[Room]("class"),
	troupe.Define[Room]("prototype"),
	troupe.Define[Room]("a-b"),
)
