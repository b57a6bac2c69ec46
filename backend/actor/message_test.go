package actor_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
)

// messenger has handlers that Define accepts, and ones that it refuses.
type messenger struct{}

type (
	closeVote      struct{ Round int }
	CloseVote      struct{ Round int }
	letter[T any]  struct{ Text T }
	pricedMessage  struct{ Prices map[string]big.Int }
	anotherMessage struct{ Text string }
)

func (*messenger) closeVote(*nothing, closeVote) error              { return nil }
func (*messenger) closeAgain(*nothing, closeVote) error             { return nil }
func (*messenger) closeOther(*nothing, CloseVote) error             { return nil }
func (*messenger) Close(*nothing, closeVote) error                  { return nil }
func (*messenger) text(*nothing, string) error                      { return nil }
func (*messenger) pointer(*nothing, *closeVote) error               { return nil }
func (*messenger) list(*nothing, []closeVote) error                 { return nil }
func (*messenger) anything(*nothing, any) error                     { return nil }
func (*messenger) letter(*nothing, letter[string]) error            { return nil }
func (*messenger) priced(*nothing, pricedMessage) error             { return nil }
func (*messenger) ofMember(*actor.Context[member], closeVote) error { return nil }
func (*messenger) Act(*nothing)                                     {}
func (*noMaker) handle(*actor.Context[member], closeVote) error     { return nil }

// A handler may also be a function.
func handleElsewhere(*messenger, *nothing, anotherMessage) error { return nil }

func TestHandlers(t *testing.T) {
	actor.Define[messenger]("x", actor.Handles((*messenger).closeVote), actor.Handles(handleElsewhere),
		actor.Handles(func(*messenger, *nothing, pricedByPointer) error { return nil }))
}

type pricedByPointer struct{ Prices map[string]*big.Int }

func TestMistakesInHandlersPanicWithTheFix(t *testing.T) {
	for _, test := range []struct {
		option actor.DefineOption
		want   string
	}{
		{actor.Handles((*messenger).Close), "Handles((*messenger).Close): an exported method is an action, which clients can call; rename it to close"},
		{actor.Handles((*messenger).text), "Handles((*messenger).text): it takes a string, but a message is a value of a named type that is not an interface"},
		{actor.Handles((*messenger).pointer), "takes a *actor_test.closeVote, but a message is a value of a named type"},
		{actor.Handles((*messenger).list), "takes a []actor_test.closeVote, but a message"},
		{actor.Handles((*messenger).anything), "takes a interface {}, but a message"},
		{actor.Handles((*messenger).letter), "a message type cannot be generic; declare type X letter"},
		{actor.Handles((*messenger).priced), "message pricedMessage: in a map[string]big.Int, JSON does not call"},
		{actor.Handles((*messenger).ofMember), "all methods of an actor use one connection state type"},
		{actor.Handles((*noMaker).handle), "Handles((*messenger).handle): it handles messages of actor_test.noMaker, not of actor_test.messenger"},
		{actor.Handles[messenger, actor.NoState, closeVote](nil), "Handles(nil): want a method, as in actor.Handles((*messenger).closeVote)"},
		{twoOptions{actor.Handles((*messenger).closeVote), actor.Handles((*messenger).closeAgain)}, "Handles((*messenger).closeAgain): another handler handles actor_test.closeVote already"},
		{twoOptions{actor.Handles((*messenger).closeVote), actor.Handles((*messenger).closeOther)}, `actor_test.closeVote and actor_test.CloseVote would both be stored as "closeVote"; rename one`},
	} {
		t.Run(test.want, func(t *testing.T) {
			defer func() {
				if why, _ := recover().(string); !strings.Contains(why, test.want) {
					t.Errorf("got %q, want it to contain %q", why, test.want)
				}
			}()
			options := []actor.DefineOption{test.option}
			if two, ok := test.option.(twoOptions); ok {
				options = []actor.DefineOption{two.DefineOption, two.second}
			}
			actor.Define[messenger]("x", options...)
		})
	}
}

// twoOptions are two options of one definition.
type twoOptions struct {
	actor.DefineOption
	second actor.DefineOption
}
