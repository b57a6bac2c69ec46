package jsonshape

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var flatSeed = flag.Uint64("jsonshape.flatseed", 0, "seed of TestFlat_RandomTypes (0: of the clock)")

// TestFlat_RandomTypes: whatever a type looks like, a flat encoder writes the bytes of
// encoding/json, or there is none.
func TestFlat_RandomTypes(t *testing.T) {
	seed := *flatSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-jsonshape.flatseed=%d", seed)
	r := random{rand.New(rand.NewPCG(seed, 0))}
	flat, values := 0, 0
	for range 3000 {
		typ := r.structType(0)
		e := FlatOf(typ)
		if e == nil {
			continue
		}
		flat++
		for range 20 {
			v := reflect.New(typ).Elem()
			r.fill(v)
			values++
			checkFlat(t, e, v)
		}
	}
	t.Logf("%d of 3000 types are flat, %d values", flat, values)
	if flat < 300 {
		t.Errorf("%d types of 3000 are flat: the test tests little", flat)
	}
}

func checkFlat(t *testing.T, e *Flat, v reflect.Value) {
	t.Helper()
	got, err := e.Append([]byte("before"), v)
	want, wantErr := json.Marshal(v.Interface())
	if (err == nil) != (wantErr == nil) || err == nil && string(got) != "before"+string(want) {
		t.Fatalf("%#v:\n got %s, %v\nwant %s, %v", v.Interface(), strings.TrimPrefix(string(got), "before"), err, want, wantErr)
	}
	if err == nil {
		checkFlatDecode(t, e, want, v.Type(), true)
	}
	got, err = Encode(v.Interface())
	want, wantErr = encodeFilled(v)
	if (err == nil) != (wantErr == nil) || err == nil && string(got) != string(want) {
		t.Fatalf("Encode %#v:\n got %s, %v\nwant %s, %v", v.Interface(), got, err, want, wantErr)
	}
}

// random makes types and values.
type random struct{ *rand.Rand }

type flatName string

var (
	flatTypes = []reflect.Type{
		reflect.TypeFor[string](), reflect.TypeFor[string](), reflect.TypeFor[flatName](), reflect.TypeFor[bool](), reflect.TypeFor[float64](),
		reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int64](), reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint64](),
	}
	otherTypes = []reflect.Type{
		reflect.TypeFor[float32](), reflect.TypeFor[json.Number](), reflect.TypeFor[[]byte](), reflect.TypeFor[flatTree](), reflect.TypeFor[map[string]int](), reflect.TypeFor[*int](), reflect.TypeFor[any](),
		reflect.TypeFor[time.Time](), reflect.TypeFor[json.RawMessage](), reflect.TypeFor[[2]int](), reflect.TypeFor[textValue](), reflect.TypeFor[jsonPointer](), reflect.TypeFor[embedding](),
	}
	flatTags = []string{"", "", "a", "b", "c_1", "A", "omitempty", "a,omitempty", "d,omitempty", "e,omitzero", "f,string", "-", "-,", "ö", "a-b", "<x>", "g,omitempty,string", `"`}
	texts    = []string{"", "plain", "<a&b>", "\"\\", "\x00\x1f\x7f", "ä€😀", "\u2028\u2029", "\xff\xfe", "a\xc3", "\ufffd", strings.Repeat("x", 300)}
	floats   = []float64{0, math.Copysign(0, -1), 1, -1, 1.5, 1e20, 1e21, 1e-6, 1e-7, 1 << 53, 1<<53 - 1, -(1 << 53), math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}
)

type textValue struct{ s string }

func (v textValue) MarshalText() ([]byte, error) { return []byte("text " + v.s), nil }

type jsonPointer struct{ n int }

func (v *jsonPointer) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "[%d]", v.n), nil }

type flatTree struct{ Children []flatTree }

type embedding struct {
	flatEmbedded
	A string
}

type flatEmbedded struct{ A, B string }

func (r random) structType(depth int) reflect.Type {
	fields := make([]reflect.StructField, r.IntN(7))
	for i := range fields {
		typ := flatTypes[r.IntN(len(flatTypes))]
		switch n := r.IntN(30); {
		case n == 0:
			typ = otherTypes[r.IntN(len(otherTypes))]
		case n < 5 && depth < 4:
			typ = r.structType(depth + 1)
		}
		if r.IntN(8) == 0 {
			typ = reflect.SliceOf(typ)
		}
		fields[i] = reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: typ}
		if r.IntN(20) == 0 {
			fields[i].Name, fields[i].PkgPath = fmt.Sprintf("f%d", i), "example.com/p"
		}
		if tag := flatTags[r.IntN(len(flatTags))]; tag != "" && r.IntN(2) == 0 {
			if r.IntN(4) > 0 { // most with a name of their own
				tag = strings.Replace(tag, "a", fmt.Sprintf("a%d", i), 1)
			}
			fields[i].Tag = reflect.StructTag(fmt.Sprintf("json:%q", tag))
		}
	}
	return reflect.StructOf(fields)
}

func (r random) fill(v reflect.Value) {
	if !v.CanSet() || r.IntN(5) == 0 {
		return // it stays zero
	}
	switch v.Kind() {
	case reflect.String:
		s := texts[r.IntN(len(texts))]
		if r.IntN(3) == 0 {
			b := make([]byte, r.IntN(12))
			for i := range b {
				b[i] = byte(r.IntN(256))
			}
			s = string(b)
		}
		v.SetString(s)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		n := floats[r.IntN(len(floats))]
		if r.IntN(2) == 0 {
			n = math.Float64frombits(r.Uint64())
		}
		v.SetFloat(n)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> r.IntN(64))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> r.IntN(64))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			r.fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			r.fill(v.Field(i))
		}
	}
}

// TestFlat_Types: which types are flat.
func TestFlat_Types(t *testing.T) {
	type inner struct {
		S string `json:"s,omitempty"`
		N int8
	}
	for _, tc := range []struct {
		value any
		flat  bool
	}{
		{"", true}, {flatName("x"), true}, {1, true}, {uint8(1), true}, {1.5, true}, {true, true}, {struct{}{}, true}, {inner{"s", 1}, true},
		{struct {
			In inner `json:"in,omitempty"`
			x  int
		}{inner{"s", 1}, 1}, true},
		{json.Number("1"), false}, {float32(1.5), false}, {time.Time{}, false}, {textValue{"s"}, false}, {jsonPointer{1}, false}, {embedding{A: "a"}, false},
		{[]string{"a"}, true}, {[]string(nil), true}, {[]string{}, true}, {[][]int{nil, {1}, {}}, true}, {[]inner{{N: 1}, {}}, true},
		{struct {
			List []int `json:"list,omitempty"`
		}{[]int{}}, true},
		{[]byte("a"), false}, {[]flatTree{{}}, false}, {[]time.Time{}, false}, {[]any{1}, false}, {map[string]int{}, false}, {&inner{}, false}, {[2]int{}, false}, {struct{ V any }{1}, false},
		{struct {
			N int `json:",string"`
		}{1}, false},
		{struct {
			N int `json:"n,omitzero"`
		}{1}, false},
		{struct {
			N int `json:"<n>"`
		}{1}, false},
	} {
		v := reflect.ValueOf(tc.value)
		e := FlatOf(v.Type())
		if (e != nil) != tc.flat {
			t.Errorf("%T: flat %v, want %v", tc.value, e != nil, tc.flat)
		}
		if e != nil {
			checkFlat(t, e, v)
		}
	}
}

// TestFlat_Strings: strings that need an escape, and those that do not.
func TestFlat_Strings(t *testing.T) {
	e := FlatOf(reflect.TypeFor[string]())
	for r := rune(0); r < 0x3000; r++ {
		checkFlat(t, e, reflect.ValueOf("a"+string(r)+"b"))
	}
	for b := range 256 {
		checkFlat(t, e, reflect.ValueOf("a"+string([]byte{byte(b)})+"b"))
	}
}

type benchMessage struct {
	ID        string `json:"id"`
	UserID    string `json:"userId"`
	Text      string `json:"text"`
	Timestamp int64  `json:"timestamp"`
}

// BenchmarkEncodeFlat compares the flat encoder with encoding/json.
func BenchmarkEncodeFlat(b *testing.B) {
	m := benchMessage{"5f0e6f3c-2d8f-4d4c-9a63-0d1f1c1c2f55", "user-0001", "hello to everyone here, said with 40 letters", 1764400000000}
	b.Run("flat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Encode(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	page := slices.Repeat([]benchMessage{m}, 50)
	b.Run("flat slice", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Encode(page); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding json slice", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(page); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestFlat_Room: what is appended to nothing has no room for a recent value that was larger.
func TestFlat_Room(t *testing.T) {
	e := FlatOf(reflect.TypeFor[[]string]())
	for _, v := range [][]string{{strings.Repeat("x", 1<<20)}, {"small"}} {
		b, err := e.Append(nil, reflect.ValueOf(v))
		if err != nil || cap(b) > 2*len(b)+64 {
			t.Errorf("got %v, and room for %d bytes with %d", err, cap(b), len(b))
		}
	}
}
