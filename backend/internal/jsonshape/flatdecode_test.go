package jsonshape

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// checkFlatDecode compares a flat decoder with encoding/json. written says that the JSON is
// what the encoder writes, which the decoder must not leave to encoding/json.
func checkFlatDecode(t *testing.T, e *Flat, raw []byte, typ reflect.Type, written bool) {
	t.Helper()
	want, got := reflect.New(typ), reflect.New(typ)
	wantErr := json.Unmarshal(raw, want.Interface())
	rest, ok := e.decode(raw, got.Elem())
	if ok = ok && len(rest) == 0; written && !ok && wantErr == nil && !e.reads {
		t.Fatalf("%s of a %s was left to encoding/json", raw, typ)
	}
	if ok && !e.reads && (wantErr != nil || !reflect.DeepEqual(got.Interface(), want.Interface())) {
		t.Fatalf("%s: got %#v, want %#v, %v", raw, got.Elem(), want.Elem(), wantErr)
	}
	again := reflect.New(typ)
	if err := Unmarshal(raw, again.Interface()); (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(again.Interface(), want.Interface()) {
		t.Fatalf("Unmarshal %s: got %#v, %v; want %#v, %v", raw, again.Elem(), err, want.Elem(), wantErr)
	}
}

// TestFlat_DecodesWhatItDoesNotWrite: JSON that differs a little from what an encoder writes is
// decoded as by encoding/json, or fails as there.
func TestFlat_DecodesWhatItDoesNotWrite(t *testing.T) {
	seed := *flatSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-jsonshape.flatseed=%d", seed)
	r := random{rand.New(rand.NewPCG(seed, 1))}
	const bytes = "\"\\{}[],:.-+eE0129 untrfalsx\x00\xff"
	for range 2000 {
		typ := r.structType(0)
		e := FlatOf(typ)
		if e == nil {
			continue
		}
		v := reflect.New(typ).Elem()
		r.fill(v)
		raw, err := e.Append(nil, v)
		if err != nil {
			continue
		}
		for range 30 {
			changed := append([]byte(nil), raw...)
			for range 1 + r.IntN(2) {
				i := r.IntN(len(changed)) // an object has two bytes
				switch c := bytes[r.IntN(len(bytes))]; r.IntN(3) {
				case 0:
					changed[i] = c
				case 1:
					changed = append(changed[:i], changed[i+1:]...)
				default:
					changed = append(changed[:i], append([]byte{c}, changed[i:]...)...)
				}
			}
			checkFlatDecode(t, e, changed, typ, false)
		}
	}
}

type ownReader string

func (o *ownReader) UnmarshalJSON([]byte) error { *o = "read by itself"; return nil }

// A type that decodes itself does so, also in a field.
func TestFlat_TypesThatDecodeThemselves(t *testing.T) {
	var v struct {
		A ownReader `json:"a"`
		B int       `json:"b"`
	}
	if err := Unmarshal([]byte(`{"a":"x","b":1}`), &v); err != nil || v.A != "read by itself" || v.B != 1 {
		t.Errorf("got %+v, %v", v, err)
	}
}

func BenchmarkDecodeFlat(b *testing.B) {
	type post struct {
		ID     uint64 `json:"id"`
		Author string `json:"author"`
		Text   string `json:"text"`
		Time   int64  `json:"time"`
	}
	raw := []byte(`{"id":17,"author":"author 17","text":"text text text text text text text text text text text text text text text text","time":1700000000000}`)
	for name, decode := range map[string]func([]byte, any) error{"flat": Unmarshal, "encoding-json": json.Unmarshal} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var p post
				if err := decode(raw, &p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
