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
		if got := test.a.Replaces(test.b, 0, 0); got != test.want {
			t.Errorf("%s: %v replaces %v: got %v, want %v", test.name, test.a, test.b, got, test.want)
		}
	}
	for _, test := range []struct {
		name        string
		a, b        host.Attachment
		try, before uint64
		want        bool
	}{
		{"another node, a later try", elsewhere, one, 3, 2, true},
		{"another node, an earlier try", elsewhere, one, 2, 3, false},
		{"another node, the same try", elsewhere, one, 2, 2, true},
		{"another node, a client that does not count", elsewhere, one, 0, 3, true},
		{"another node, a client that did not count", elsewhere, one, 3, 0, true},
		{"the same node: only its own number counts", two, one, 2, 3, true},
		{"the same node, an older socket", one, two, 3, 2, false},
	} {
		if got := test.a.Replaces(test.b, test.try, test.before); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	if !(host.Attachment{}).IsZero() || one.IsZero() || elsewhere.IsZero() {
		t.Error("the zero Attachment, and it alone, is none")
	}
}
