package host_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
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

// Keys that differ are different actors: what has no UTF-8 is refused before encoding/json
// makes it U+FFFD.
func TestParseKey_surrogates(t *testing.T) {
	for raw, want := range map[string]string{
		`"\ud83d\ude00"`: "\U0001f600", `["a","\uD83D\uDE00x"]`: "a \U0001f600x", `"\\ud800"`: `\ud800`, `"\ufffd"`: "\ufffd", `"\\\\ud800"`: `\\ud800`,
		`"\ud800"`: "", `["\udc00"]`: "", `"\ud800x"`: "", `["a","\ud800\ud800"]`: "", `"\ude00\ud83d"`: "", `"\ud83d\u0041"`: "", `"\\\ud800"`: "", `"\ud83d\n"`: "",
	} {
		key, err := host.ParseKey(json.RawMessage(raw))
		if got := strings.Join(key, " "); err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %q, %v, want %q", raw, got, err, want)
		}
	}
}

// TestKey_Check_utf8: keys that come from elsewhere than JSON, such as a query, are checked, too:
// in an actor's id they would all be U+FFFD, and so one actor.
func TestKey_Check_utf8(t *testing.T) {
	for _, c := range []string{"\xff", "a\xed\xa0\x80", "\xc0\x80", "a\x00"} {
		for _, key := range []host.Key{{c}, {"a", c}} {
			if err := key.Check(); err == nil || err.Code != wire.CodeBadKey {
				t.Errorf("%q: got %v, want bad_key", key, err)
			}
		}
	}
	if err := (host.Key{"\ufffd", "é"}).Check(); err != nil {
		t.Error(err)
	}
}
