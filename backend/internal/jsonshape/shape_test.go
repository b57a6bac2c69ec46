package jsonshape

import (
	"encoding/json"
	"math/rand"
	"reflect"
	"testing"
	"testing/quick"
	"time"
)

type mood string

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

func shapeOf[T any]() Shape { return NewShapes(nil).Of(reflect.TypeFor[T]()) }

// What the server encodes, the server takes.
func TestEncodedValuesHaveTheirShape(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	type all struct {
		Plain load2
		Many  []load2
		By    map[string]*load2
		Left  *load2  `json:",omitempty"`
		Zero  []load2 `json:",omitzero"`
	}
	for range 500 {
		v, ok := quick.Value(reflect.TypeFor[all](), r)
		if !ok {
			t.Fatal("no value")
		}
		raw, err := Encode(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if err := shapeOf[all]().Check(raw); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
	}
}

type load2 struct {
	Text string
	N    *int
	F    []float64
	B    []byte
	M    map[int][]string
	Odd  bool `json:"\u00e9 x"`
}

// FuzzShape: JSON that encoding/json reads is looked through without a panic.
func FuzzShape(f *testing.F) {
	for _, s := range []string{`{"mood":"calm","spot":{"x":1}}`, ` {"spots" : [ {"x":1e3} , null ] }`, `{"\u006dood":"\\\"","any":[[],{}]}`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if json.Unmarshal(raw, new(visit)) == nil {
			_ = shapeOf[visit]().Check(raw)
		}
	})
}

func BenchmarkCheckShape(b *testing.B) {
	raw := []byte(`{"mood":"calm","spot":{"x":1,"y":2},"spots":[{"x":1},{"x":2}],"maybe":"some text of some length"}`)
	check := shapeOf[visit]().Check
	b.ReportAllocs()
	for b.Loop() {
		if err := check(raw); err != nil {
			b.Fatal(err)
		}
	}
}
