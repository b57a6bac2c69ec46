package jsonshape

import (
	"encoding/json"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

// load has slices and maps in all places, and nothing else that could be null.
type load struct {
	Inner
	inner2
	Texts   []string            `json:"texts"`
	Bytes   []byte              `json:"bytes"`
	Deep    [][]map[string]part `json:"deep"`
	Left    []int               `json:"left,omitempty"`
	Zero    map[string]int      `json:"zero,omitzero"`
	Array   [2][]int            `json:"array"`
	Parts   []part              `json:"parts"`
	Time    time.Time           `json:"time"`
	Number  int                 `json:"number,string"`
	Hidden  []int               `json:"-"`
	private []int
}

type Inner struct{ A []int }

type inner2 struct{ B map[int][]bool }

type part struct {
	Tags []string
	N    int
}

func randomLoad(r *rand.Rand) load {
	v, _ := quick.Value(reflect.TypeFor[struct {
		Inner  Inner
		B      map[int][]bool
		Texts  []string
		Bytes  []byte
		Deep   [][]map[string]part
		Left   []int
		Zero   map[string]int
		Array  [2][]int
		Parts  []part
		Number int
	}](), r)
	l := load{Inner: v.Field(0).Interface().(Inner), inner2: inner2{v.Field(1).Interface().(map[int][]bool)}, private: []int{1}}
	for i := 2; i < 10; i++ {
		name := v.Type().Field(i).Name
		if r.Intn(3) > 0 {
			reflect.ValueOf(&l).Elem().FieldByName(name).Set(v.Field(i))
		}
	}
	if r.Intn(2) == 0 {
		l.A = nil
	}
	for i := range l.Parts {
		if r.Intn(2) == 0 {
			l.Parts[i].Tags = nil
		}
	}
	return l
}

// Of random values the JSON is that of encoding/json without the nulls, and the
// value stays as it was.
func TestEncode_isEncodingJSONWithoutNull(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	nulls := 0
	for range 300 {
		v := randomLoad(r)
		before, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(got), "null") {
			t.Fatalf("got %s", got)
		}
		if after, _ := json.Marshal(v); string(after) != string(before) {
			t.Fatalf("the value was changed: %s, before %s", after, before)
		}
		if !strings.Contains(string(before), "null") && string(got) != string(before) {
			t.Fatalf("got %s, want %s", got, before)
		}
		nulls += strings.Count(string(before), "null")
		var back, want any
		if json.Unmarshal(got, &back) != nil || json.Unmarshal(before, &want) != nil {
			t.Fatalf("%s is not JSON", got)
		}
		if !sameButForNull(back, want) {
			t.Fatalf("got %s, want %s but for null", got, before)
		}
	}
	if nulls == 0 {
		t.Error("the values had no nil")
	}
}

func sameButForNull(got, want any) bool {
	if want == nil {
		v := reflect.ValueOf(got)
		return got == "" || v.IsValid() && v.Kind() != reflect.String && v.Len() == 0
	}
	switch want := want.(type) {
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return false
		}
		for i := range want {
			if !sameButForNull(got[i], want[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok || len(got) != len(want) {
			return false
		}
		for k := range want {
			if !sameButForNull(got[k], want[k]) {
				return false
			}
		}
		return true
	}
	return got == want
}

func TestEncode(t *testing.T) {
	type loop struct {
		Next  *loop
		Items []int
	}
	ring := &loop{}
	ring.Next = ring
	if _, err := Encode(ring); err == nil {
		t.Error("a pointer to itself: want an error")
	}
	for want, v := range map[string]any{
		"null":                      nil,
		"[]":                        []int(nil),
		"{}":                        map[string]int(nil),
		`{"Next":null,"Items":[]}`:  loop{},
		`{"Next":null,"Items":[1]}`: &loop{Items: []int{1}},
		`[{"a":[]},[]]`:             []any{map[string]any{"a": []int(nil)}, []string(nil)},
		`{"N":0}`: struct {
			N    int
			Part part `json:",omitzero"`
		}{},
		`{"Part":{"Tags":[],"N":1}}`: struct {
			Part part `json:",omitzero"`
		}{part{N: 1}},
		`{"Items":[],"Raw":null}`: struct {
			Items list
			Raw   json.RawMessage
		}{},
	} {
		got, err := Encode(v)
		if err != nil || string(got) != want {
			t.Errorf("%#v: got %s, %v; want %s", v, got, err, want)
		}
	}
}

// list is a slice that encodes itself.
type list []int

func (l list) MarshalJSON() ([]byte, error) { return json.Marshal(append([]int{}, l...)) }

func BenchmarkEncode(b *testing.B) {
	plain := struct{ ID, Text string }{"id", strings.Repeat("x", 100)}
	for name, v := range map[string]any{
		"plain": plain, "slices": part{Tags: []string{"a"}}, "nil": part{},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Encode(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
