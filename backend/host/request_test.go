package host_test

import (
	"testing"

	"github.com/troupe-dev/troupe/backend/host"
)

func TestAttachment_Replaces(t *testing.T) {
	one, two := host.NextAttachment(), host.NextAttachment()
	elsewhere := host.Attachment{Node: 7, N: 1}
	for _, test := range []struct {
		name string
		a, b host.Attachment
		want bool
	}{
		{"the first one", one, host.Attachment{}, true},
		{"a newer socket", two, one, true},
		{"an older socket that is late", one, two, false},
		{"the same again", one, one, false},
		{"a later channel of a socket", one.Plus(2), one.Plus(1), true},
		{"a newer socket, and a later channel of the older one", two, one.Plus(9), true},
		{"another node with a lower number", elsewhere, one, true},
		{"and back", one, elsewhere, true},
	} {
		if got := test.a.Replaces(test.b); got != test.want {
			t.Errorf("%s: %v replaces %v: got %v, want %v", test.name, test.a, test.b, got, test.want)
		}
	}
	if !(host.Attachment{}).IsZero() || one.IsZero() || elsewhere.IsZero() {
		t.Error("the zero Attachment, and it alone, is none")
	}
}
