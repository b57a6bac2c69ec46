package host_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/host"
)

func TestKeys(t *testing.T) {
	for _, test := range []struct{ raw, want string }{
		{`["general"]`, `["general"]`},
		{`"general"`, `["general"]`},
		{`["a","b c","ü"]`, `["a","b c","ü"]`},
		{`[]`, `[]`},
		{` [ ] `, `[]`},
		{`""`, ""},
		{`["a",""]`, ""},
		{`["a",null]`, ""},
		{`["a",1]`, ""},
		{`{}`, ""},
		{`null`, ""},
		{``, ""},
		{`["` + strings.Repeat("x", 129) + `"]`, ""},
		{`["` + strings.Repeat(`xxxxxxxxxx","`, 103) + `x"]`, ""},
		{`["a\u0000b"]`, ""},
	} {
		k, err := host.ParseKey(json.RawMessage(test.raw))
		if test.want == "" {
			if err == nil {
				t.Errorf("%.40s: got %s, want an error", test.raw, k)
			}
			continue
		}
		if err != nil || k.String() != test.want {
			t.Errorf("%s: got %s, %v, want %s", test.raw, k, err, test.want)
		}
	}
}

// Whatever a client sends as a key, what comes out is one that can be used, and
// reads as itself again.
func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{`["general"]`, `"x"`, `["a","b"]`, `[1]`, `null`, `["\ud800"]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		k, err := host.ParseKey(json.RawMessage(raw))
		if err != nil {
			return
		}
		again, err := host.ParseKey(json.RawMessage(k.String()))
		if err != nil || again.String() != k.String() {
			t.Errorf("%q is read as %s, and that as %s, %v", raw, k, again, err)
		}
	})
}
