package runtime_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// What was stored before subjects were: a connection and its calls go on for whoever has
// their secrets. The answer of an Idempotency-Key, which others may guess, goes to nobody.
func TestSubject_unknown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), ledgers)
		direct := host.DirectCall{Create: true, IdempotencyKey: "key-1", Action: "add", Args: []json.RawMessage{[]byte("7")}}
		if _, err := b.node.CallOnce(context.Background(), ledgerRef, direct); err != nil {
			t.Fatal(err)
		}
		before := b.open(ledgerRef, asAda)
		before.call(1, "add", 5)
		before.read()
		b.restart()

		owned := asAda
		owned.Identity.Subject = "ada"
		ada := b.open(ledgerRef, owned)
		ada.call(1, "add", 5)
		if got := ada.read(); !got[0].Opened.Resumed || b.total(ledgerRef) != 12 {
			t.Errorf("got %s and total %d, want a resumed connection, whose call does not run again", kinds(got), b.total(ledgerRef))
		}
		direct.Identity.Subject = "eve"
		if got, err := b.node.CallOnce(context.Background(), ledgerRef, direct); code(err) != "ran" || b.total(ledgerRef) != 12 {
			t.Errorf("an idempotency key that was nobody's: got %s, %v, want that it ran", got, err)
		}
	})
}

type (
	byName    struct{ Name, Level string }
	byPointer struct{ Name, Level string }
	plain     struct{ Name, Level string }
	expiring  struct{ Until time.Time }
)

func (v byName) Subject() string         { return v.Name }
func (v *byPointer) Subject() string     { return v.Name }
func (v expiring) ValidUntil() time.Time { return v.Until }
func (v byPointer) ValidUntil(int) error { return nil } // another method

func TestIdentityOf(t *testing.T) {
	of := func(v any) host.Identity {
		t.Helper()
		who, err := runtime.IdentityOf(v)
		if err != nil {
			t.Fatalf("%v: %v", v, err)
		}
		return who
	}
	for what, pair := range map[string][2]any{
		"a method":                    {byName{"ada", "1"}, byName{"ada", "2"}},
		"a method of a pointer":       {byPointer{"ada", "1"}, byPointer{"ada", "2"}},
		"a pointer":                   {&byPointer{"ada", "1"}, &byName{"ada", "2"}},
		"different types of a server": {byName{"ada", "1"}, &byPointer{"ada", "2"}},
		"no method, equal":            {plain{"ada", "1"}, &plain{"ada", "1"}},
		"nobody":                      {(*byName)(nil), (*plain)(nil)},
	} {
		if a, b := of(pair[0]), of(pair[1]); a.Subject != b.Subject || a.Subject == "" {
			t.Errorf("%s: got subjects %q and %q, want the same", what, a.Subject, b.Subject)
		}
	}
	for what, pair := range map[string][2]any{
		"names":                            {byName{"ada", "1"}, byName{"bob", "1"}},
		"JSON":                             {plain{"ada", "1"}, plain{"ada", "2"}},
		"a method and JSON":                {byName{"", ""}, plain{"", ""}},
		"nobody":                           {(*byName)(nil), &byName{}},
		"a subject that is another's JSON": {byName{`"x"`, ""}, "x"},
	} {
		if a, b := of(pair[0]), of(pair[1]); a.Subject == b.Subject {
			t.Errorf("%s: %v and %v have the same subject", what, pair[0], pair[1])
		}
	}
	later := time.Now().Add(time.Hour)
	if got := of(expiring{later}).Until; !got.Equal(later) {
		t.Errorf("got %v, want %v", got, later)
	}
	if _, err := runtime.IdentityOf(expiring{time.Now()}); code(err) != "unauthorized" {
		t.Errorf("a session that is over: got %v, want unauthorized", err)
	}
	if !of(expiring{}).Until.IsZero() || !of(byPointer{}).Until.IsZero() {
		t.Error("an identity without an end has one")
	}
}
