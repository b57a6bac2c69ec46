package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Chest is for the user whose name is the key. Its only guard is OnAccess.
type Chest struct {
	Coins int `json:"coins"`
}

type (
	// Coin is an event.
	Coin int
	// Owner is the identity of a client.
	Owner struct{ Name string }
)

// chestDoors is what OnAccess of chests has been asked.
var chestDoors struct {
	sync.Mutex
	asked []string
}

func askedOfChests() []string {
	chestDoors.Lock()
	defer chestDoors.Unlock()
	asked := chestDoors.asked
	chestDoors.asked = nil
	return asked
}

func (Chest) OnAuth(_ context.Context, r *actor.AuthRequest) (Owner, error) {
	var p VaultParams
	who := r.Header.Cookie("who")
	if r.Params(&p); p.As != "" {
		who = p.As
	}
	return Owner{who}, nil
}

func (ch Chest) OnAccess(c *actor.AccessContext) error {
	line := string(c.Door())
	for _, about := range []string{c.Action(), c.Event()} {
		if about != "" {
			line += " " + about
		}
	}
	var input int
	if c.Input(&input) {
		line += fmt.Sprint(" ", input)
	}
	if c.Exists() {
		line += fmt.Sprint(" of ", ch.Coins)
	}
	chestDoors.Lock()
	chestDoors.asked = append(chestDoors.asked, line)
	chestDoors.Unlock()
	if !slices.Equal(c.Key(), actor.Key{actor.Auth[Owner](c).Name}) {
		return actor.Errorf("forbidden", "not your chest")
	}
	return nil
}

func (ch *Chest) OnCreate(_ *roomContext, coins *int) {
	if coins != nil {
		ch.Coins = *coins
	}
}

// Put puts coins in.
func (ch *Chest) Put(c *roomContext, coins int) int {
	ch.Coins += coins
	c.Broadcast(Coin(coins))
	return ch.Coins
}

// Count counts them.
func (ch Chest) Count(*roomContext) int { return ch.Coins }

// withChest has chests whose connections may change hands, so that OnAccess decides alone.
var withChest = otherActor(actor.Define[Chest]("chest", actor.Emits[Coin](), actor.WithOptions(actor.Options{AnySubject: true})))

const adasChest = `"actor":"chest","key":["ada"]`

// single makes a request without a connection and returns its status and code.
func (e *env) single(who, method, path, body string, header ...string) string {
	a := do(e.t, e.h, method, "/api/actors/chest"+path, body, append(header, "Cookie", "who="+who)...)
	return strings.TrimSpace(fmt.Sprint(a.status, " ", a.Code))
}

// TestAccess_everyDoor: a client that OnAccess refuses comes in nowhere, learns nothing and
// leaves nothing. The doors are those of package actor; a new one belongs here.
func TestAccess_everyDoor(t *testing.T) {
	single := func(method, path, body string, header ...string) func(e *env, who string) []string {
		return func(e *env, who string) []string { return []string{e.single(who, method, path, body, header...)} }
	}
	// over sends messages on channel 1 after opening it with fields, as a user.
	over := func(open string, fields []string, messages ...string) func(e *env, who string) []string {
		return func(e *env, who string) []string {
			c := e.dialAs(cookie(who))
			c.open(1, open, fields...)
			e.settle()
			for _, m := range messages {
				c.send(m)
				e.settle()
			}
			return c.take()
		}
	}
	asEve := []string{adasChest, `"params":{"as":"eve"}`}
	for _, row := range []struct {
		door   actor.Door
		name   string
		exists bool // the chest of ada, with 1 coin in it
		knock  func(e *env, who string) []string

		eve, ada []string // what they get
		asked    []string // of OnAccess, for ada
	}{
		{actor.DoorCall, "an action over HTTP", true, single("POST", "/actions/put?key=ada", `{"args":[1]}`),
			[]string{"403 forbidden"}, []string{"200"}, []string{"call put of 1"}},
		{actor.DoorCall, "an action that only reads", true, single("POST", "/actions/count?key=ada", ``),
			[]string{"403 forbidden"}, []string{"200"}, []string{"call count of 1"}},
		{actor.DoorCall, "an action by id", true, func(e *env, who string) []string {
			id := do(e.t, e.h, "GET", "/api/actors/chest?key=ada", ``, "Cookie", "who=ada").ID
			askedOfChests()
			return []string{e.single(who, "POST", "/actions/put?id="+id, `{"args":[1]}`)}
		}, []string{"403 forbidden"}, []string{"200"}, []string{"call put of 1"}},
		{actor.DoorCall, "an action of a chest that must exist", false, single("POST", "/actions/put?key=ada&create=false", `{"args":[1]}`),
			[]string{"403 forbidden"}, []string{"404 not_found"}, []string{"call put"}},
		{actor.DoorCall, "an action that does not exist", true, single("POST", "/actions/burn?key=ada", ``),
			[]string{"403 forbidden"}, []string{"404 unknown_action"}, []string{"call burn of 1"}},
		{actor.DoorCall, "wrong arguments", true, single("POST", "/actions/put?key=ada", `{"args":["x"]}`),
			[]string{"403 forbidden"}, []string{"400 invalid_args"}, []string{"call put of 1"}},
		{actor.DoorCall, "an idempotency key", true, single("POST", "/actions/put?key=ada", `{"args":[1]}`, "Idempotency-Key", "1"),
			[]string{"403 forbidden"}, []string{"200"}, []string{"call put of 1"}},
		{actor.DoorCreate, "an action that makes it", false, single("POST", "/actions/put?key=ada", `{"args":[1]}`),
			[]string{"403 forbidden"}, []string{"200"}, []string{"create", "call put of 0"}},
		{actor.DoorCreate, "a creation", false, single("POST", "", `{"key":["ada"],"input":7}`),
			[]string{"403 forbidden"}, []string{"201"}, []string{"create 7"}},
		{actor.DoorCreate, "a creation of one that exists", true, single("POST", "", `{"key":["ada"],"input":7}`),
			[]string{"403 forbidden"}, []string{"409 exists"}, []string{"create 7 of 1"}},
		{actor.DoorCreate, "an open that makes it", false, over("ada", []string{adasChest, `"input":7`}),
			[]string{"1 closed forbidden false"}, []string{"1 opened 0", "1 at 0"}, []string{"create 7", "connect of 7"}},
		{actor.DoorResolve, "a look-up", true, single("GET", "?key=ada", ``),
			[]string{"403 forbidden"}, []string{"200"}, []string{"resolve of 1"}},
		{actor.DoorResolve, "a look-up of one that does not exist", false, single("GET", "?key=ada", ``),
			[]string{"403 forbidden"}, []string{"404 not_found"}, []string{"resolve"}},
		{actor.DoorConnect, "an open", true, over("ada", []string{adasChest}),
			[]string{"1 closed forbidden false"}, []string{"1 opened 0", "1 at 0"}, []string{"connect of 1"}},
		{actor.DoorConnect, "an open by id", true, func(e *env, who string) []string {
			id := do(e.t, e.h, "GET", "/api/actors/chest?key=ada", ``, "Cookie", "who=ada").ID
			askedOfChests()
			return over("ada", []string{`"actor":"chest","actorId":"` + id + `"`})(e, who)
		}, []string{"1 closed forbidden false"}, []string{"1 opened 0", "1 at 0"}, []string{"connect of 1"}},
		{actor.DoorConnect, "an open of a chest that must exist", false, over("ada", []string{adasChest, `"create":false`}),
			[]string{"1 closed forbidden false"}, []string{"1 closed not_found false"}, []string{"connect"}},
		{actor.DoorSubscribe, "an event of an open", true, over("ada", []string{adasChest, `"subs":["coin"]`}),
			[]string{"1 closed forbidden false"}, []string{"1 opened 0", "1 at 0"}, []string{"connect of 1", "subscribe coin of 1"}},
		{actor.DoorSubscribe, "an event", true, over("ada", []string{adasChest}, `{"t":"sub","c":1,"e":["coin"]}`),
			[]string{"1 closed forbidden false", "1 error unknown_channel"}, []string{"1 opened 0", "1 at 0"}, []string{"connect of 1", "subscribe coin of 1"}},
		{actor.DoorCall, "a call over a connection", true, over("ada", []string{adasChest}, callFrame(1, 1, "put", 1)),
			[]string{"1 closed forbidden false", "1 fail #1 unknown_channel"}, []string{"1 opened 0", "1 at 0", "1 reply 2 #1 2"}, []string{"connect of 1", "call put of 1"}},
		{actor.DoorRefresh, "new params", true, func(e *env, who string) []string {
			return over("ada", []string{adasChest}, refresh(1, VaultParams{As: who}))(e, "ada")
		}, []string{"1 opened 0", "1 at 0", "1 closed forbidden false"}, []string{"1 opened 0", "1 at 0"}, []string{"connect of 1", "refresh of 1"}},
		{actor.DoorResume, "a resume", true, func(e *env, who string) []string {
			c := e.dialAs(cookie("ada"))
			c.open(1, "ada", adasChest)
			e.settle()
			log := c.takeMessages()[0].Log
			c.cut()
			e.settle()
			askedOfChests()
			fields := []string{adasChest, resume(log, 0)}
			if who == "eve" {
				fields = append(asEve, resume(log, 0))
			}
			return over("ada", fields)(e, who)
		}, []string{"1 closed forbidden false"}, []string{"1 opened 0 resumed", "1 at 0"}, []string{"resume of 1"}},
	} {
		t.Run(string(row.door)+", "+row.name, func(t *testing.T) {
			run(t, func(t *testing.T, e *env) {
				coins := "0"
				if row.exists {
					coins = "1"
					if got := e.single("ada", "POST", "", `{"key":["ada"],"input":1}`); got != "201" {
						t.Fatal(got)
					}
				}
				askedOfChests()
				if got := row.knock(e, "eve"); !slices.Equal(got, row.eve) {
					t.Errorf("eve: got %q, want %q", got, row.eve)
				}
				if got := askedOfChests(); len(got) == 0 {
					t.Error("OnAccess was not asked")
				}
				if a := do(t, e.h, "POST", "/api/actors/chest/actions/count?key=ada&create=false", ``, "Cookie", "who=ada"); row.exists && a.body != `{"result":`+coins+`}` || !row.exists && a.status != http.StatusNotFound {
					t.Errorf("eve has changed something: got %d %s", a.status, a.body)
				}
				askedOfChests()
				if got := row.knock(e, "ada"); !slices.Equal(got, row.ada) {
					t.Errorf("ada: got %q, want %q", got, row.ada)
				}
				if got := askedOfChests(); !slices.Equal(got, row.asked) {
					t.Errorf("OnAccess was asked %q, want %q", got, row.asked)
				}
			}, withChest, unchecked)
		})
	}
}
