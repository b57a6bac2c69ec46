package runtime_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// locker is like safe, without names in JSON, and with an OnAuth.
type locker struct {
	Title  string
	Pin    string `troupe:"secret"`
	Coins  actor.List[coin]
	Owners actor.Map[string, coin]
	Moves  actor.Table[uint64, coin]
	Note   actor.List[string] `troupe:"secret"`
}

type lockerUser struct {
	Name  string `json:"name"`
	Token string `json:"token" troupe:"secret"`
}

type lockerParams struct {
	Name string `json:"name"`
	Code string `json:"code" troupe:"secret"`
}

type toll struct {
	Pin string `json:"pin" troupe:"secret"`
}

func (*locker) OnAuth(context.Context, *actor.AuthRequest) (lockerUser, error) {
	return lockerUser{"ada", "hush-token"}, nil
}

func (*locker) CreateConnState(*actor.ConnectContext, lockerParams) (safeConn, error) {
	return safeConn{"ada", "hush-pass"}, nil
}

func (v *locker) Put(c *safeContext, n int) {
	v.Title, v.Pin = "the locker", "hush-pin"
	v.Coins.Append(coin{n, "hush-coin"})
	v.Owners.Set("ada", coin{n, "hush-owner"})
	v.Moves.Append(coin{n, "hush-move"})
	v.Note.Append("hush-note")
	c.Broadcast(coined{"hush-event", n})
	c.Schedule(time.Now().Add(time.Hour), toll{"hush-message"})
}

func (*locker) toll(*safeContext, toll) error { return nil }

// lockerV1 has other names for all that locker has stored.
type lockerV1 struct {
	Title string
	Moves actor.Table[uint64, coinV1]
}

type coinV1 struct {
	Value  int    `json:"value"`
	Secret string `json:"secret" troupe:"secret"`
}

type tollV1 struct {
	Amount int    `json:"amount"`
	Code   string `json:"code" troupe:"secret"`
}

func (*lockerV1) tollV1(*actor.Context[actor.NoState], tollV1) error { return nil }

var (
	lockerRef = host.Ref{Name: "locker", Key: host.Key{"a"}}
	lockers   = actor.NewRegistry(actor.Define[locker]("locker", actor.Emits[coined](), actor.Handles((*locker).toll)))
)

// TestInspector_masksUntagged: secrets are masked, and an edit keeps them, in fields without a
// name in JSON, too.
func TestInspector_masksUntagged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, lockers)
		i := runtime.Inspect(b.node)
		id := host.ActorID(lockerRef.Name, lockerRef.Key)
		who, err := b.node.Authenticate(t.Context(), lockerRef, host.AuthRequest{})
		if err != nil {
			t.Fatal(err)
		}
		ada := b.open(lockerRef, host.OpenRequest{Conn: "conn-ada", Producer: "caller-ada", Params: json.RawMessage(`{"name":"ada","code":"hush-code"}`), Identity: who})
		ada.call(1, "put", 7)
		ada.read()
		q := wholeOf
		q.Params = true
		l := lookWith(t, i, id, q)
		const state = `{"Title":"the locker","Pin":"‹secret›","Coins":[{"value":7,"code":"‹secret›"}],"Owners":{"ada":{"value":7,"code":"‹secret›"}},"Note":"‹secret›"}`
		if string(l.State) != state {
			t.Errorf("got the state %s, want %s", l.State, state)
		}
		c := l.Conns[0]
		if string(c.Params) != `{"name":"ada","code":"‹secret›"}` || string(c.Auth) != `{"name":"ada","token":"‹secret›"}` {
			t.Errorf("got params %s and auth %s", c.Params, c.Auth)
		}
		items, err := i.Items(t.Context(), "locker", id, "Moves", storeRange(l.Tables[0].ID))
		if err != nil || string(items.Items[0].Value) != `{"value":7,"code":"‹secret›"}` {
			t.Errorf("got items %s and %v", items.Items[0].Value, err)
		}
		if _, err := i.Edit(t.Context(), id, l.Rev, json.RawMessage(strings.Replace(state, "locker", "bank", 1))); err != nil {
			t.Fatal(err)
		}
		snap, err := b.store.Load(t.Context(), id)
		if err != nil || strings.Count(string(snap.State), "hush") != 4 || !strings.Contains(string(snap.State), "the bank") {
			t.Errorf("the store has %s, %v", snap.State, err)
		}
	})
}

// TestInspector_masksOlderVersions: of what an earlier version has stored, all is shown as the
// current one has it, and nothing of types that this does not have.
func TestInspector_masksOlderVersions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, lockers)
		id := host.ActorID(lockerRef.Name, lockerRef.Key)
		who := json.RawMessage(`{"name":"ada"}`)
		if _, err := runtime.Inspect(b.node).CallAs(t.Context(), lockerRef, who, host.DirectCall{Create: true, Action: "put", Args: []json.RawMessage{json.RawMessage("7")}}); err != nil {
			t.Fatal(err)
		}
		b.reg = actor.NewRegistry(actor.Define[lockerV1]("locker", actor.Handles((*lockerV1).tollV1), actor.Version(1,
			actor.MigrateItem("Moves", func(old coin) coinV1 { return coinV1{old.Value, old.Code} }),
			actor.RenameMessage("toll", "tollV1"),
			actor.MigrateMessage("tollV1", func(old toll) tollV1 { return tollV1{3, old.Pin} }))))
		b.restart()
		i := runtime.Inspect(b.node)
		l := lookAt(t, b, id)
		if len(l.Messages) != 1 || string(l.Messages[0].Data) != `{"amount":3,"code":"‹secret›"}` {
			t.Errorf("got messages %+v", l.Messages)
		}
		for field, want := range map[string]string{"Moves": `{"value":7,"secret":"‹secret›"}`, "Dropped": ""} {
			items, err := i.Items(t.Context(), "locker", id, field, storeRange(l.Tables[0].ID))
			if err != nil || string(items.Items[0].Value) != want {
				t.Errorf("%s: got items %s and %v, want %s", field, items.Items[0].Value, err, want)
			}
		}
		entries, err := i.Entries(t.Context(), "locker", id, 0, 10, 1000)
		if err != nil || len(entries) != 1 || entries[0].Data != nil || entries[0].Event != "coined" {
			t.Errorf("got entries %+v and %v, want one without data", entries, err)
		}
	})
}
