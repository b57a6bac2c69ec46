package readme

import (
	"reflect"
	"testing"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

func TestAccount(t *testing.T) {
	const stored = `{"name":"ada","password":"hush"}`
	if got := string(jsonshape.Masked(reflect.TypeFor[Account](), []byte(stored))); got != `{"name":"ada","password":"‹secret›"}` {
		t.Errorf("got %s", got)
	}
}
