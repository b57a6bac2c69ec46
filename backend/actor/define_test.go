package actor_test

import (
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

type (
	nothing        = actor.Context[actor.NoState]
	badHook        struct{}
	typoHook       struct{}
	twoStates      struct{}
	member         struct{}
	memberParams   struct{}
	noMaker        struct{}
	wrongMaker     struct{}
	variadic       struct{}
	manyResults    struct{}
	reserved       struct{}
	objectName     struct{}
	clientMember   struct{}
	chanParam      struct{}
	connectAction  struct{}
	differentParam struct{}
	nestedHidden   struct {
		Inner struct{ hidden int }
	}
	nestedDash struct {
		List []struct {
			A int `json:"-"`
		}
	}
	unstorable struct{ Done chan int }
	shape      interface{ Area() float64 }
	drawing    struct{ Shape shape }
	embedded   struct{ A int }
	pointer    struct{ *embedded }
	sameAction struct{}
	byValue    struct{}
	authHook   struct{}
	migration  struct{}
	guard      struct{}
	access     struct{}
	accessor   struct{}
	ownJSON    struct{ A int }
	box        struct{ Inner []int }
	fine       struct {
		When  time.Time
		Deep  map[string][]*box
		Cache map[string]chan int `json:"-"`
		mu    sync.Mutex
	}
)

type Connected struct{}

func (*badHook) OnConnect(string)                                                    {}
func (*typoHook) OnConect(*nothing)                                                  {}
func (*twoStates) A(*nothing)                                                        {}
func (*twoStates) B(*actor.Context[member])                                          {}
func (*noMaker) A(*actor.Context[member])                                            {}
func (*wrongMaker) A(*actor.Context[member])                                         {}
func (*wrongMaker) CreateConnState(*actor.ConnectContext, memberParams) (int, error) { return 0, nil }
func (*variadic) A(*nothing, ...string)                                              {}
func (*manyResults) A(*nothing) (int, int)                                           { return 0, 0 }
func (*reserved) Then(*nothing)                                                      {}
func (*objectName) ToString(*nothing) string                                         { return "" }
func (*clientMember) Reconnect(*nothing)                                             {}
func (*chanParam) A(*nothing, chan int)                                              {}
func (*connectAction) A(*actor.ConnectContext)                                       {}
func (*differentParam) OnBeforeConnect(*actor.ConnectContext, int) error             { return nil }
func (*differentParam) CreateConnState(*actor.ConnectContext, string) (actor.NoState, error) {
	return actor.NoState{}, nil
}
func (*sameAction) URL(*nothing)                    {}
func (*sameAction) Url(*nothing)                    {}
func (*byValue) A(actor.Context[actor.NoState])     {}
func (*authHook) OnAuth(string) error               { return nil }
func (*guard) CanSubscribe(*nothing, string) error  { return nil }
func (*access) OnAccess(*actor.AccessContext) error { return nil }
func (*accessor) A(*actor.AccessContext)            {}
func (*migration) Migrate([]byte) error             { return nil }
func (ownJSON) MarshalJSON() ([]byte, error)        { return []byte("{}"), nil }
func (f *fine) Lock(*nothing)                       { f.mu.Lock(); defer f.mu.Unlock() }
func (f *fine) String() string                      { return "not an action" }

type (
	nestedList struct {
		Inner struct{ List actor.List[int] }
	}
	pointerToMap struct{ Map *actor.Map[string, int] }
	twiceNamed   struct {
		A actor.List[int] `json:"B"`
		B int
	}
	namedInAnotherCase struct {
		Items int
		List  actor.List[int] `json:"items"`
	}
	Embedded        struct{ Name string }
	namedInEmbedded struct {
		Embedded
		Name actor.List[int]
	}
	twoLists struct {
		A actor.List[int] `json:"B"`
		B actor.Map[string, int]
	}
	listOfLists struct {
		List actor.List[struct{ Inner actor.List[int] }]
	}
	hiddenInItem struct {
		Map actor.Map[string, []struct{ hidden int }]
	}
	mapOfLevels struct{ Map actor.Map[slog.Level, int] }
	indexed     struct {
		actor.List[int]
		Index map[int]int
	}
	listAndMore   struct{ Field indexed }
	embedsMethods struct {
		ownName
		List actor.List[int]
	}
	ownName struct{ Name string }
)

func (ownName) Greet() {}

// Maps whose values or keys encode themselves by a method with a pointer receiver.
type (
	price        struct{ Amount big.Int }
	label        string
	priced       struct{ Prices map[string]big.Int }
	pricedItems  struct{ Items actor.List[map[string]price] }
	pricedResult struct{}
	pricedState  struct{}
	Priced       struct {
		Inner []struct{ Prices map[string]big.Int }
	}
	Labelled struct{ Counts map[label]int }

	// These encode as they should.
	pricedRight struct {
		Pointers map[string]*big.Int
		Slices   map[string][]big.Int
		Prices   actor.Map[string, big.Int]
		Times    map[string]time.Time
	}
)

func (l *label) MarshalText() ([]byte, error)                  { return []byte(*l), nil }
func (pricedResult) Prices(*nothing) map[string]big.Int        { return nil }
func (*pricedState) Buy(*actor.Context[map[string][1]big.Int]) {}
func (*pricedState) CreateConnState(*actor.ConnectContext) (map[string][1]big.Int, error) {
	return nil, nil
}

// TestMapsThatEncodeTheirValues: Define refuses only maps whose JSON would lose something.
func TestMapsThatEncodeTheirValues(t *testing.T) {
	actor.Define[pricedRight]("x")
}

type nearHook struct{}

func (nearHook) CanSubscribed(*nothing, string) error { return nil }

type otherCase struct{}

func (*otherCase) Onconnect(*nothing) error { return nil }

type noContext struct{}

func (*noContext) Add(int) {}

type (
	likeHooks  struct{}
	helpers    struct{}
	onlyString struct{}
)

func (*likeHooks) Create(*nothing)              {}
func (*likeHooks) Start(*nothing)               {}
func (*likeHooks) Restore(*nothing)             {}
func (*likeHooks) Drop(*nothing)                {}
func (*likeHooks) Resume(*nothing)              {}
func (*likeHooks) Disconnect(*nothing)          {}
func (*likeHooks) Stop(*nothing)                {}
func (*likeHooks) Subscribe(*nothing)           {}
func (*likeHooks) Auth(*nothing)                {}
func (*likeHooks) CanUnsubscribe(*nothing) bool { return true }
func (*helpers) Add(*nothing)                   {}
func (*helpers) Restore()                       {}
func (*helpers) OnConected()                    {}
func (onlyString) String() string               { return "" }

// TestNamesThatOnlyResembleHooks: ordinary names of actions and of methods without a
// Context are not taken for misspelled hooks.
func TestNamesThatOnlyResembleHooks(t *testing.T) {
	actor.NewRegistry(actor.Define[likeHooks]("likeHooks"), actor.Define[helpers]("helpers"), actor.Define[onlyString]("onlyString"))
}

func TestMistakesInADefinitionPanicWithTheFix(t *testing.T) {
	for _, test := range []struct {
		define func()
		want   []string
	}{
		{func() { actor.Define[badHook]("x") }, []string{"badHook", "OnConnect", "want OnConnect(c *actor.Context[S]) error"}},
		{func() { actor.Define[typoHook]("x") }, []string{"typoHook", "OnConect looks like a hook", "did you mean OnConnect?"}},
		{func() { actor.Define[nearHook]("x") }, []string{"nearHook", "method CanSubscribed is no hook: did you mean CanSubscribe?"}},
		{func() { actor.Define[otherCase]("x") }, []string{"otherCase", "method Onconnect is no hook: did you mean OnConnect?"}},
		{func() { actor.Define[noContext]("x") }, []string{"noContext", "it has no actions", "method Add is none", "*actor.Context[S]"}},
		{func() { actor.Define[twoStates]("x") }, []string{"twoStates", "method B", "one connection state type"}},
		{func() { actor.Define[noMaker]("x") }, []string{"noMaker", "want CreateConnState(c *actor.ConnectContext, params P) (actor_test.member, error)"}},
		{func() { actor.Define[wrongMaker]("x") }, []string{"wrongMaker", "CreateConnState returns int", "actor_test.member"}},
		{func() { actor.Define[variadic]("x") }, []string{"variadic", "method A", "want a slice"}},
		{func() { actor.Define[manyResults]("x") }, []string{"manyResults", "method A returns 2 values", "want none, an error, a result"}},
		{func() { actor.Define[reserved]("x") }, []string{"reserved", "method Then", `"then" is reserved`}},
		{func() { actor.Define[objectName]("x") }, []string{"objectName", "method ToString", `"toString" is reserved`}},
		{func() { actor.Define[clientMember]("x") }, []string{"clientMember", "method Reconnect", `"reconnect" is reserved`}},
		{func() { actor.Define[chanParam]("x") }, []string{"chanParam", "parameter 1 is a chan int"}},
		{func() { actor.Define[connectAction]("x") }, []string{"connectAction", "only OnBeforeConnect and CreateConnState"}},
		{func() { actor.Define[differentParam]("x") }, []string{"differentParam", "takes params int", "takes string"}},
		{func() { actor.Define[nestedHidden]("x") }, []string{"nestedHidden", "Inner.hidden"}},
		{func() { actor.Define[nestedDash]("x") }, []string{"nestedDash", "List.A"}},
		{func() { actor.Define[unstorable]("x") }, []string{"unstorable", "Done", `json:"-"`}},
		{func() { actor.Define[drawing]("x") }, []string{"drawing", "field Shape", "actor_test.shape cannot be read back"}},
		{func() { actor.Define[pointer]("x") }, []string{"pointer", "field embedded", "embed actor_test.embedded itself"}},
		{func() { actor.Define[sameAction]("x") }, []string{"sameAction", "URL", "Url", `action name "url"`}},
		{func() { actor.Define[byValue]("x") }, []string{"byValue", "method A", "want a pointer, *actor.Context"}},
		{func() { actor.Define[authHook]("x") }, []string{"authHook", "method OnAuth", "want OnAuth(ctx context.Context, r *actor.AuthRequest) (A, error)"}},
		{func() { actor.Define[guard]("x") }, []string{"guard", "method CanSubscribe", "with a value receiver"}},
		{func() { actor.Define[access]("x") }, []string{"access", "method OnAccess", "want OnAccess(c *actor.AccessContext) error, with a value receiver"}},
		{func() { actor.Define[accessor]("x") }, []string{"accessor", "only OnAccess takes an *actor.AccessContext"}},
		{func() { actor.Define[migration]("x") }, []string{"migration", "Migrate", "reserved"}},
		{func() { actor.Define[ownJSON]("x") }, []string{"ownJSON", "MarshalJSON"}},
		{func() { actor.Define[nestedList]("x") }, []string{"nestedList", "field Inner.List", "a field of actor_test.nestedList itself"}},
		{func() { actor.Define[pointerToMap]("x") }, []string{"pointerToMap", "field Map", "itself"}},
		{func() { actor.Define[twiceNamed]("x") }, []string{"twiceNamed", "field A", `named "B"`}},
		{func() { actor.Define[namedInAnotherCase]("x") }, []string{"namedInAnotherCase", "field List", `named "items"`}},
		{func() { actor.Define[namedInEmbedded]("x") }, []string{"namedInEmbedded", "field Name", `named "Name"`}},
		{func() { actor.Define[twoLists]("x") }, []string{"twoLists", "fields A and B", `named "B"`}},
		{func() { actor.Define[listOfLists]("x") }, []string{"listOfLists", "field List.Inner", "itself"}},
		{func() { actor.Define[hiddenInItem]("x") }, []string{"hiddenInItem", "field Map.hidden is not stored"}},
		{func() { actor.Define[mapOfLevels]("x") }, []string{"mapOfLevels", "field Map", "MarshalText"}},
		{func() { actor.Define[listAndMore]("x") }, []string{"listAndMore", "field Field", "would not be stored; move them to"}},
		{func() { actor.Define[embedsMethods]("x") }, []string{"embedsMethods", "cannot embed"}},
		{func() { actor.Define[priced]("x") }, []string{"priced", "field Prices", "map[string]big.Int", "use map[string]*big.Int"}},
		{func() { actor.Define[pricedItems]("x") }, []string{"pricedItems", "field Items", "map[string]actor_test.price"}},
		{func() { actor.Define[pricedResult]("x") }, []string{"pricedResult", "the result of Prices", "map[string]big.Int"}},
		{func() { actor.Define[pricedState]("x") }, []string{"pricedState", "the connection state", "map[string][1]big.Int"}},
		{func() { actor.Define[fine]("x", actor.Emits[Priced]()) }, []string{"event priced", "map[string]big.Int"}},
		{func() { actor.Define[fine]("x", actor.Emits[Labelled]()) }, []string{"event labelled", "map[actor_test.label]int"}},
		{func() { actor.Define[int]("x") }, []string{"int", "want a struct"}},
		{func() { actor.Define[fine]("") }, []string{"name"}},
		{func() { actor.Define[fine]("a/b") }, []string{"a/b", "letters, digits"}},
		{func() { actor.Define[fine](strings.Repeat("a", 65)) }, []string{"at most 64 bytes"}},
		{func() { actor.Define[fine]("x", actor.Emits[Connected]()) }, []string{`event name "connected" is reserved`}},
		{func() { actor.Define[fine]("reconnect") }, []string{`name "reconnect" is reserved`}},
		{func() { actor.Define[fine]("x", actor.Emits[struct{}]()) }, []string{"named type"}},
		{func() { actor.NewRegistry(actor.Define[fine]("x"), actor.Define[member]("x")) }, []string{"two definitions", `"x"`}},
	} {
		t.Run(strings.Join(test.want, " "), func(t *testing.T) {
			defer func() {
				got := fmt.Sprint(recover())
				for _, w := range test.want {
					if !strings.Contains(got, w) {
						t.Errorf("got panic %q, want %q in it", got, w)
					}
				}
			}()
			test.define()
		})
	}
	actor.NewRegistry(actor.Define[fine]("fine"))
}

func TestWireNames(t *testing.T) {
	for name, want := range map[string]string{
		"SendMessage": "sendMessage", "ID": "id", "HTTPStatus": "httpStatus", "A": "a", "UserID": "userId", "GetHTTPStatus": "getHttpStatus", "GetAThing": "getAThing", "B2B": "b2B", "note": "note", "Ärger": "ärger",
	} {
		if got := actor.WireName(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestRetentionIsTheLongestResumeWindowAndAMinute(t *testing.T) {
	window := func(d time.Duration) actor.Option {
		return actor.WithOptions(actor.Options{ResumeWindow: d})
	}
	for _, test := range []struct {
		reg  *actor.Registry
		want time.Duration
	}{
		{actor.NewRegistry(actor.Define[fine]("a")), 3 * time.Minute},
		{actor.NewRegistry(actor.Define[fine]("a", window(time.Hour)), actor.Define[fine]("b")), 61 * time.Minute},
		{actor.NewRegistry(actor.Define[fine]("a", window(time.Second)), window(time.Hour), actor.Define[fine]("b")), 61 * time.Minute},
	} {
		if got := test.reg.Retention(); got != test.want {
			t.Errorf("%v: got %s, want %s", test.reg.Names(), got, test.want)
		}
	}
}
