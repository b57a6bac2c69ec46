package actor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// Tally is an actor that counts votes.
type Tally struct {
	Votes map[string]int `json:"votes"`
}

// Voted is emitted after each vote.
type Voted struct {
	For string `json:"for"`
}

// Vote is an action: clients call vote("tea").
func (r *Tally) Vote(c *actor.Context[actor.NoState], drink string) (int, error) {
	if r.Votes == nil {
		r.Votes = map[string]int{}
	}
	r.Votes[drink]++
	c.Broadcast(Voted{drink})
	if drink == "decaf" {
		return 0, actor.Errorf("no_such_drink", "%s is not a drink", drink) // undoes all of the above
	}
	return r.Votes[drink], nil
}

// Result is a read-only action: it has a value receiver.
func (r Tally) Result(*actor.Context[actor.NoState]) map[string]int { return r.Votes }

// A node runs actors. Servers put a gateway in front of it; here it is called
// directly.
func Example() {
	registry := actor.NewRegistry(actor.Define[Tally]("tally", actor.Emits[Voted]()))
	node := runtime.New(registry, memory.New(memory.Options{}), runtime.Options{})
	defer node.Shutdown(context.Background())

	lunch := host.Ref{Name: "tally", Key: host.Key{"lunch"}}
	call := func(action string, args ...string) {
		c := host.DirectCall{Create: true, Action: action}
		for _, a := range args {
			raw, _ := json.Marshal(a)
			c.Args = append(c.Args, raw)
		}
		result, err := node.CallOnce(context.Background(), lunch, c)
		fmt.Println(string(result), err)
	}
	call("vote", "tea")
	call("vote", "tea")
	call("vote", "decaf")
	call("vote")
	call("result")
	// Output:
	// 1 <nil>
	// 2 <nil>
	//  no_such_drink: decaf is not a drink
	//  invalid_args: vote takes 1 argument, got 0
	// {"tea":2} <nil>
}

// An error made with Errorf reaches the client; any other one is internal_error
// there and whole in the server's log.
func ExampleErrorf() {
	err := actor.Errorf("sold_out", "%d tickets are left", 0)
	var e *actor.Error
	fmt.Println(errors.As(err, &e), e.Code, e.Message)
	// Output: true sold_out 0 tickets are left
}

// Keys have a canonical form; a string is a key of one component, and a key may be empty.
func ExampleParseKey() {
	for _, raw := range []string{`"general"`, `["acme", "general"]`, `[]`} {
		key, err := host.ParseKey(json.RawMessage(raw))
		fmt.Println(key, err)
	}
	// Output:
	// ["general"] <nil>
	// ["acme","general"] <nil>
	// [] <nil>
}

func ExampleWireName() {
	fmt.Println(actor.WireName("SendMessage"), actor.WireName("UserByID"))
	// Output: sendMessage userById
}
