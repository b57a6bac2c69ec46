package actor_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

type mood string

const (
	calm  mood = "calm"
	angry mood = `"angry"`
)

type spot struct {
	X float64 `json:"x"`
	Y float64 `json:"y,omitempty"`
}

type node struct {
	Next *node  `json:"next"`
	Many []node `json:"many"`
}

type visit struct {
	Mood   mood            `json:"mood"`
	Spot   spot            `json:"spot"`
	Spots  []spot          `json:"spots,omitempty"`
	ByMood map[mood]*spot  `json:"byMood,omitempty"`
	Maybe  *string         `json:"maybe,omitzero"`
	Raw    json.RawMessage `json:"raw,omitempty"`
	Any    []any           `json:"any,omitempty"`
	When   time.Time       `json:"when,omitzero"`
	Bytes  []byte          `json:"bytes,omitempty"`
	Node   node            `json:"node,omitzero"`
	Quoted mood            `json:"quoted,omitempty,string"`
	Free   mood            `json:"free,omitempty" ts:"string"`
}

type inspector struct{}

func (inspector) Take(_ *actor.Context[actor.NoState], _ visit)               {}
func (inspector) List(_ *actor.Context[actor.NoState], _ []mood)              {}
func (inspector) Map(_ *actor.Context[actor.NoState], _ map[string]int)       {}
func (inspector) Pointer(_ *actor.Context[actor.NoState], _ *spot)            {}
func (inspector) Any(_ *actor.Context[actor.NoState], _ any)                  {}
func (inspector) Give(_ *actor.Context[actor.NoState], m mood) visit          { return visit{Mood: m} }
func (*inspector) Tell(c *actor.Context[actor.NoState], m string)             { c.Broadcast(told{mood(m)}) }
func (*inspector) OnCreate(c *actor.Context[actor.NoState], _ []string) error { return nil }
func (*inspector) OnBeforeConnect(c *actor.ConnectContext, _ inspectorParams) {}

type told struct {
	Mood mood `json:"mood"`
}

type inspectorParams struct {
	Ticket string `json:"ticket"`
	Mood   mood   `json:"mood,omitempty"`
}

func inspectors() *actor.Registry {
	r := actor.NewRegistry(actor.Define[inspector]("inspector", actor.Emits[told]()))
	r.SetContract(actor.Contract{Unions: []actor.Union{actor.OneOf(calm, angry)}})
	return r
}

// What does not have the shape of a type never reaches an action (G9).
func TestG9_ArgumentsHaveTheirShape(t *testing.T) {
	const ok = `"mood":"calm","spot":{"x":1}`
	for _, tc := range []struct{ action, arg, want string }{
		{"take", `{` + ok + `}`, ""},
		{"take", ` { "mood" : "calm" , "spot" : { "x" : 1 , "y" : 2 } } `, ""},
		{"take", `{` + ok + `,"more":[{"of":"}"},null],"moods":null}`, ""},
		{"take", `{` + ok + `,"maybe":null,"raw":null,"any":[null,{"a":null}]}`, ""},
		{"take", `{` + ok + `,"maybe":"x","raw":{"mood":"sad"},"when":"2020-01-01T00:00:00Z","bytes":"YQ=="}`, ""},
		{"take", `{` + ok + `,"byMood":{"calm":null,"\"angry\"":{"x":1}},"spots":[{"x":1},{"x":2}]}`, ""},
		{"take", `{` + ok + `,"node":{"next":{"next":null,"many":[]},"many":[]}}`, ""},
		{"take", `{` + ok + `,"quoted":"\"sad\"","free":"sad"}`, ""},
		{"take", `{"\u006dood":"\u0063alm","spot":{"x":1}}`, ""},
		{"take", `{"mood":"\"angry\"","spot":{"x":1}}`, ""},

		{"take", `null`, `want an object, got null`},
		{"take", `{}`, `field mood: it is missing`},
		{"take", `{"mood":"calm"}`, `field spot: it is missing`},
		{"take", `{"mood":"calm","spot":{}}`, `field spot.x: it is missing`},
		{"take", `{"mood":"calm","spot":null}`, `field spot: want an object, got null`},
		{"take", `{"mood":"calm","spot":{"x":null}}`, `field spot.x: want a number, got null`},
		{"take", `{"mood":"calm","spot":{"x":"1"}}`, `field spot.x: want a number, got string`},
		{"take", `{"mood":"sad","spot":{"x":1}}`, `field mood: want "calm" or "\"angry\"", got "sad"`},
		{"take", `{"mood":"calm","mood":"sad","spot":{"x":1}}`, `field mood: want "calm"`},
		{"take", `{"mood":"calm","MOOD":"sad","spot":{"x":1}}`, `field mood: want "calm"`},
		{"take", `{"mood":"calm","\u006dOOD":"sad","spot":{"x":1}}`, `field mood: want "calm"`},
		{"take", `{"mood":null,"spot":{"x":1}}`, `field mood: want a string, got null`},
		{"take", `{` + ok + `,"spots":null}`, `field spots: want an array, got null`},
		{"take", `{` + ok + `,"spots":[{"x":1},{"y":1}]}`, `field spots[1].x: it is missing`},
		{"take", `{` + ok + `,"spots":[null]}`, `field spots[0]: want an object, got null`},
		{"take", `{` + ok + `,"byMood":{"sad":null}}`, `field byMood["sad"]: want "calm"`},
		{"take", `{` + ok + `,"byMood":{"calm":{}}}`, `field byMood["calm"].x: it is missing`},
		{"take", `{` + ok + `,"when":null}`, `field when: want`},
		{"take", `{` + ok + `,"bytes":null}`, `field bytes: want a base64 string, got null`},
		{"take", `{` + ok + `,"node":{"next":{"next":null,"many":[{"next":null}]},"many":[]}}`, `field node.next.many[0].many: it is missing`},
		{"take", `{"mood":"` + strings.Repeat("é", 1000) + `","spot":{"x":1}}`, `got "` + strings.Repeat("é", 20) + `…"`},
		{"list", `["calm","calm"]`, ""},
		{"list", `[]`, ""},
		{"list", `null`, "want an array, got null"},
		{"list", `["calm","sad"]`, `field [1]: want "calm"`},
		{"map", `{"a":1,"b":2}`, ""},
		{"map", `{"a":1,"b":null}`, `field ["b"]: want an integer, got null`},
		{"pointer", `null`, ""},
		{"pointer", `{"x":1}`, ""},
		{"pointer", `{}`, "field x: it is missing"},
		{"any", `null`, ""},
		{"any", `{"a":[null]}`, ""},
	} {
		actortest.Run(t, inspectors(), func(n *actortest.Node) {
			a := n.Actor("inspector", "a")
			if tc.want == "" {
				actortest.Call[any](a, tc.action, json.RawMessage(tc.arg))
				return
			}
			err := a.Fail(tc.action, json.RawMessage(tc.arg))
			if err.Code != "invalid_args" || !strings.HasPrefix(err.Message, tc.action+": argument 1: ") || !strings.Contains(err.Message, tc.want) {
				t.Errorf("%s(%s): got %v, want %s", tc.action, tc.arg, err, tc.want)
			}
		})
	}
}

func TestG9_ParamsHaveTheirShape(t *testing.T) {
	actortest.Run(t, inspectors(), func(n *actortest.Node) {
		a := n.Actor("inspector", "a")
		a.Connect(map[string]any{"ticket": "1", "more": true})
		for want, params := range map[string]any{
			"params: field ticket: it is missing":      nil,
			"params: field ticket: want a string, got": map[string]any{"ticket": nil},
			`params: field mood: want "calm"`:          map[string]any{"ticket": "1", "mood": "sad"},
		} {
			if _, err := a.TryConnect(params); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: got %v, want %s", params, err, want)
			}
		}
	})
}

// A server that sends what its types do not say is found in check mode, in which
// tests run.
func TestCheckFindsValuesOutsideAUnion(t *testing.T) {
	actortest.Run(t, inspectors(), func(n *actortest.Node) {
		a := n.Actor("inspector", "a")
		c := a.Connect(inspectorParams{Ticket: "1"})
		actortest.Call[visit](a, "give", calm)
		actortest.Call[any](a, "tell", calm)
		if err := a.Fail("tell", "sad"); err.Code != "internal_error" {
			t.Errorf("got %v, want internal_error", err)
		}
		if got := actortest.Events[told](c); len(got) != 1 || got[0].Mood != calm {
			t.Errorf("got %v, want calm only", got)
		}
	})
}
