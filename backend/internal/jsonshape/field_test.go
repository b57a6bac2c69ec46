package jsonshape_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

type (
	base  struct{ ID, Page, Deep string }
	rival struct {
		ID   string
		Page string `json:"Page"` // wins over that of base: it has a tag
	}
	Pointed struct{ Perhaps, ID2 string }
	left    struct{ base }
	right   struct{ base }
	text    string
)

// Names, order and conflicts are as encoding/json has them.
func TestOf(t *testing.T) {
	for _, v := range []any{
		struct{}{},
		struct {
			A, b string
			C    string `json:"-"`
			//lint:ignore SA5008 this is about what encoding/json makes of it
			D string `json:"-,"`
			E string `json:"e é"`
			//lint:ignore SA5008 no name for encoding/json
			F string `json:"quote\""`
			G string `json:",omitempty"`
		}{b: "b", G: "g"},
		struct {
			base
			rival
			Own string
		}{},
		struct {
			base
			ID string
		}{},
		struct {
			base `json:"base"`
			ID   string
		}{},
		struct {
			*Pointed
			text
			ID string
		}{Pointed: &Pointed{}},
		struct {
			left
			right
			Only string
		}{},
		struct {
			left
			base
		}{},
	} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range jsonshape.FieldsOf(reflect.TypeOf(v)) {
			got = append(got, f.Name)
		}
		if want := keys(string(raw)); !slices.Equal(got, want) {
			t.Errorf("%T: got %q, want %q", v, got, want)
		}
	}
}

// Optional is what may be missing.
func TestOptional(t *testing.T) {
	type all struct {
		*Pointed
		Empty  string `json:",omitempty"`
		Zero   string `json:",omitzero"`
		Quoted int    `json:",string"`
		Plain  string
	}
	want := map[string]bool{"Perhaps": true, "ID2": true, "Empty": true, "Zero": true, "Quoted": false, "Plain": false}
	for _, f := range jsonshape.FieldsOf(reflect.TypeFor[all]()) {
		if f.Optional != want[f.Name] || f.OmitZero != (f.Name == "Zero") || f.Quoted != (f.Name == "Quoted") {
			t.Errorf("got %+v", f)
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("%v are missing", want)
	}
}

// keys returns the keys of a JSON object in their order.
func keys(object string) []string {
	d := json.NewDecoder(strings.NewReader(object))
	var keys []string
	depth := 0
	for key := true; ; {
		token, err := d.Token()
		if err != nil {
			return keys
		}
		switch token {
		case json.Delim('{'):
			depth, key = depth+1, true
			continue
		case json.Delim('}'):
			depth--
		default:
			if key && depth == 1 {
				keys = append(keys, token.(string))
				key = false
				continue
			}
			if depth > 1 {
				continue
			}
		}
		key = true
	}
}
