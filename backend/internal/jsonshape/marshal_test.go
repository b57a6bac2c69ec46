package jsonshape_test

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

type sealed struct{ V string }

func (s *sealed) MarshalJSON() ([]byte, error) { return json.Marshal("sealed " + s.V) }

type shout string

func (s *shout) MarshalText() ([]byte, error) { return []byte("loud " + *s), nil }

type Inside struct{ S sealed }

// TestAMarshalJSONWithAPointerReceiverIsCalled: a value encodes like a pointer to it.
func TestAMarshalJSONWithAPointerReceiverIsCalled(t *testing.T) {
	for _, test := range []struct {
		v    any
		want string
	}{
		{*big.NewInt(5), "5"},
		{big.NewInt(5), "5"},
		{struct{ Amount big.Int }{*big.NewInt(5)}, `{"Amount":5}`},
		{struct{ Amounts [1]big.Int }{[1]big.Int{*big.NewInt(5)}}, `{"Amounts":[5]}`},
		{[]big.Int{*big.NewInt(5)}, "[5]"},
		{sealed{"x"}, `"sealed x"`},
		{shout("x"), `"loud x"`},
		{struct{ Inside }{Inside{sealed{"x"}}}, `{"S":"sealed x"}`},
		{struct {
			Tags []string
			S    sealed
		}{S: sealed{"x"}}, `{"Tags":[],"S":"sealed x"}`},
	} {
		if got, err := jsonshape.Encode(test.v); err != nil || string(got) != test.want {
			t.Errorf("%T: got %s, %v, want %s", test.v, got, err, test.want)
		}
	}
}
