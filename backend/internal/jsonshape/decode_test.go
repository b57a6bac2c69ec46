package jsonshape

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
)

func TestPlainStringsAreDecodedAsByEncodingJSON(t *testing.T) {
	check := func(raw []byte) (plain bool) {
		t.Helper()
		got, plain := plainString(raw)
		var want string
		if err := json.Unmarshal(raw, &want); plain && (err != nil || got != want) {
			t.Errorf("%q: got %q, want %q, %v", raw, got, want, err)
		}
		return plain
	}
	for _, s := range []string{"", "hello", "h\u00e4 \U0001f600", "\u2028", "\x7f"} {
		if !check([]byte(`"` + s + `"`)) {
			t.Errorf("%q was left to encoding/json", s)
		}
	}
	pieces := []string{`"`, `\\`, `a`, ` `, "\n", "\x00", "\x7f", "\xff", "\xc3\xa4", "\xf0\x9f\x98\x80", "\xed\xa0\x80", `\u00e4`, `null`, `1`}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var raw []byte
		for range r.IntN(6) {
			raw = append(raw, pieces[r.IntN(len(pieces))]...)
		}
		check(raw)
		check([]byte(`"` + string(raw) + `"`))
	}
}
