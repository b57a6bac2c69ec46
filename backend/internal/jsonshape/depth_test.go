package jsonshape_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

func TestDepth(t *testing.T) {
	for raw, want := range map[string]int{
		`1`: 0, `"[{\"[["`: 0, `[]`: 1, `{"a":[1,{"b":"]"}],"c":{}}`: 3, `[[],[[]],"\\"]`: 3,
		strings.Repeat("[", 700) + strings.Repeat("]", 700): 700,
	} {
		if got := jsonshape.Depth([]byte(raw)); got != want {
			t.Errorf("%.40s: got %d, want %d", raw, got, want)
		}
	}
}

func TestNests(t *testing.T) {
	type tree struct{ Children []tree }
	type flat struct {
		Times  []time.Time
		Named  map[string]*[2]struct{ A, B int }
		Twice  struct{ A, B int }
		Number json.Number
		Hidden any `json:"-"`
	}
	for _, test := range []struct {
		of   any
		want bool
	}{
		{flat{}, false}, {"", false}, {tree{}, true}, {[]any{}, true}, {json.RawMessage{}, true},
		{struct{ Raw map[string]json.RawMessage }{}, true}, {map[string][]*tree{}, true},
	} {
		if got := jsonshape.Nests(reflect.TypeOf(test.of)); got != test.want {
			t.Errorf("%T: got %v, want %v", test.of, got, test.want)
		}
	}
}

func TestMarshal_bytesThatAreNotUTF8(t *testing.T) {
	for _, v := range []any{json.RawMessage("\"a\xffb\""), "a\xffb", map[string]any{"k": json.RawMessage("[\"\xc3\"]")}} {
		b, err := jsonshape.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(b); strings.ToValidUTF8(text, "") != text || !strings.Contains(text, "\uFFFD") && !strings.Contains(text, `\ufffd`) {
			t.Errorf("got %q", text)
		}
	}
}
