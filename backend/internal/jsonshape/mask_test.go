package jsonshape_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

type account struct {
	Name     string             `json:"name"`
	Password string             `json:"password" troupe:"secret"`
	Keys     map[string]apiKey  `json:"keys"`
	List     []apiKey           `json:"list"`
	Next     *account           `json:"next,omitempty"`
	Codes    map[string]float64 `json:"codes" troupe:"secret"`
	embedded
}

type embedded struct {
	Token string `troupe:"secret"`
}

type apiKey struct {
	Label string `json:"label"`
	Key   string `json:"key" troupe:"secret"`
}

func TestMasked(t *testing.T) {
	of := reflect.TypeFor[account]()
	raw := `{"name":"ada","password":"pw1","PASSWORD":"pw2","keys":{"a":{"label":"l","key":"pw3"}},"list":[{"key":"pw4"},null],` +
		`"next":{"password":"pw5","next":null},"codes":{"pw6":7},"Token":"pw7","else":"kept"}`
	masked := string(jsonshape.Masked(of, []byte(raw)))
	if strings.Contains(masked, "pw") {
		t.Errorf("a secret is left: %s", masked)
	}
	for _, want := range []string{`"name":"ada"`, `"label":"l"`, `"else":"kept"`, `null]`, `"codes":"‹secret›"`} {
		if !strings.Contains(masked, want) {
			t.Errorf("%s is missing in %s", want, masked)
		}
	}
	back, err := jsonshape.Unmasked(of, []byte(masked), []byte(raw))
	if err != nil || string(back) != raw {
		t.Errorf("got %s and %v, want the original", back, err)
	}

	edited := strings.Replace(masked, `"keys":{"a"`, `"keys":{"b"`, 1)
	if _, err := jsonshape.Unmasked(of, []byte(edited), []byte(raw)); err == nil || !strings.Contains(err.Error(), "keys: b: key:") {
		t.Errorf("a secret at a new place: got %v", err)
	}
	edited = strings.Replace(masked, `"password":"‹secret›"`, `"password":"new"`, 1)
	if back, err := jsonshape.Unmasked(of, []byte(edited), []byte(raw)); err != nil || !strings.Contains(string(back), `"password":"new"`) {
		t.Errorf("a new secret: got %s and %v", back, err)
	}

	plain := []byte(`{"a":1}`)
	if got := jsonshape.Masked(reflect.TypeFor[struct{ A int }](), plain); &got[0] != &plain[0] {
		t.Error("a text without secrets was copied")
	}
	for _, odd := range []string{`null`, `1`, `"x"`, `[]`} {
		if got := string(jsonshape.Masked(of, []byte(odd))); got != odd {
			t.Errorf("%s became %s", odd, got)
		}
	}
}
