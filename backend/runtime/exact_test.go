package runtime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

// loose has fields whose values do not stay what they are.
type loose struct {
	Any    any               `json:"any"`
	Named  map[string]any    `json:"named"`
	Deep   []struct{ V any } `json:"deep"`
	Text   string            `json:"text"`
	Time   time.Time         `json:"time"`
	Empty  []string          `json:"empty"`
	Number int64             `json:"number"`
}

type tally struct {
	N int64 `json:"n"`
}

type exactly struct {
	N int64 `json:"n,string"`
}

func (l *loose) Put(_ *actor.Context[actor.NoState], what string) {
	switch what {
	case "int":
		l.Any = 1
	case "float":
		l.Any = 1.0
	case "map":
		l.Named = map[string]any{"a": "x", "n": 1}
	case "struct":
		l.Deep = []struct{ V any }{{nil}, {member{"ada"}}}
	case "text":
		l.Text = "a\xff"
	case "fine":
		l.Any, l.Named, l.Deep = []any{"a", true, nil, 2.5}, map[string]any{"a": map[string]any{}}, nil
		l.Time, l.Empty, l.Number = time.Now(), []string{}, 1<<62
	}
}

func (loose) Result(_ *actor.Context[actor.NoState], add int64) int64 { return 1<<53 + add }

func (loose) Nested(*actor.Context[actor.NoState]) []tally { return []tally{{1}, {1<<53 + 1}} }

func (loose) Exact(*actor.Context[actor.NoState]) exactly { return exactly{1<<53 + 1} }

func (loose) Float(*actor.Context[actor.NoState]) float64 { return 1e20 }

func (l *loose) Emit(c *actor.Context[actor.NoState]) { c.Broadcast(tally{-1<<53 - 1}) }

func (loose) Take(*actor.Context[actor.NoState], int64, uint8, float32) {}

var (
	looses   = actor.NewRegistry(actor.Define[loose]("loose", actor.Emits[tally]()))
	looseRef = host.Ref{Name: "loose", Key: host.Key{"a"}}
)

// TestCheckFindsValuesThatChangeOnTheirOwn: a state that is another one after a load, and
// integers that are others in JavaScript.
func TestCheckFindsValuesThatChangeOnTheirOwn(t *testing.T) {
	for _, test := range []struct {
		action, arg string
		want        string // in the error; empty if there is none
	}{
		{"put", `"int"`, "field loose.Any: an int in an interface is a float64"},
		{"put", `"float"`, ""},
		{"put", `"map"`, "field loose.Named[n]: an int in an interface"},
		{"put", `"struct"`, "field loose.Deep[1].V: a runtime_test.member in an interface is a map[string]interface {}"},
		{"put", `"text"`, "field loose.Text: its value is another one"},
		{"put", `"fine"`, ""},
		{"result", `0`, ""},
		{"result", `1`, "9007199254740993 is another number in JavaScript: tag the field `json:\",string\"`"},
		{"result", `2`, ""},
		{"nested", ``, "field n: 9007199254740993 is another number"},
		{"exact", ``, ""},
		{"float", ``, ""},
		{"emit", ``, "event tally: field n: -9007199254740993"},
	} {
		for _, check := range []bool{true, false} {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, looses)
				b.stop()
				b.check = check
				b.start()
				_, err := callRaw(b, looseRef, test.action, test.arg)
				switch {
				case !check || test.want == "":
					if err != nil {
						t.Errorf("%s(%s), check %v: %v", test.action, test.arg, check, err)
					}
				case code(err) != "internal_error" || !strings.Contains(err.Error(), test.want):
					t.Errorf("%s(%s): got %v, want %s", test.action, test.arg, err, test.want)
				}
			})
		}
	}
}

// TestNumbersThatDoNotFitAreOutOfRange: of the right kind, but not of the type.
func TestNumbersThatDoNotFitAreOutOfRange(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, looses)
		for args, want := range map[string]string{
			`9223372036854775807,255,1`: "",
			`9223372036854775808,0,1`:   "argument 1: want an integer, got 9223372036854775808, which is out of range",
			`-9223372036854775809,0,1`:  "argument 1: want an integer, got -9223372036854775809, which is out of range",
			`1,256,1`:                   "argument 2: want an integer from 0, got 256, which is out of range",
			`1.5,0,1`:                   "argument 1: want an integer, got number 1.5",
			`1,-1,1`:                    "argument 2: want an integer from 0, got number -1",
			`1,0,1e300`:                 "argument 3: want a number, got 1e300, which is out of range",
		} {
			_, err := callRaw(b, looseRef, "take", args)
			if want == "" && err != nil || want != "" && (code(err) != "invalid_args" || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: got %v, want %s", args, err, want)
			}
		}
	})
}
