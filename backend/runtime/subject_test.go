package runtime_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// What an older version stored without a subject: any client with the secrets of a
// connection and its calls may continue them.
func TestSubject_unknown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), ledgers)
		before := b.open(ledgerRef, asAda)
		before.call(1, "add", 5)
		before.read()
		b.restart()

		owned := asAda
		owned.Identity.Subject = "ada"
		ada := b.open(ledgerRef, owned)
		ada.call(1, "add", 5)
		if got := ada.read(); !got[0].Opened.Resumed || b.total(ledgerRef) != 5 {
			t.Errorf("got %s and total %d, want a resumed connection, whose call does not run again", kinds(got), b.total(ledgerRef))
		}
	})
}

// A key may be guessed. A stranger who uses it first, as nobody, as somebody else, or as what it
// becomes inside, takes neither the call of its owner nor its answer.
func TestG5_StrangersDoNotUseUpKeys(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), ledgers)
		call := func(subject string, want int) {
			t.Helper()
			direct := host.DirectCall{Create: true, IdempotencyKey: "order 1", Action: "add", Args: []json.RawMessage{[]byte("7")}}
			direct.Identity.Subject = subject
			if got, err := b.node.CallOnce(t.Context(), ledgerRef, direct); err != nil || string(got) != fmt.Sprint(want) {
				t.Errorf("%q got %s, %v, want %d", subject, got, err, want)
			}
		}
		call("", 7)
		call("eve", 14)
		for i, producer := range []string{runtime.KeyID("order 1", "ada")[1:], "order 1"} {
			stranger := as("stranger")
			stranger.Conn, stranger.Producer = fmt.Sprint("stranger", i), producer
			c := b.open(ledgerRef, stranger)
			c.call(1, "add", 0)
			c.read()
		}
		call("ada", 21)
		b.restart()
		call("ada", 21)
		call("eve", 14)
		call("", 7)
	})
}

// Keys that an older version has stored, as nobody's or as a subject's, count.
func TestG5_KeysOfOlderVersions(t *testing.T) {
	for subject, id := range map[string]string{"": "order 1", "ada": runtime.KeyID("order 1", "ada")[1:]} {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, memory.New(memory.Options{}), ledgers)
			direct := host.DirectCall{Create: true, IdempotencyKey: "order 1", Action: "add", Args: []json.RawMessage{[]byte("7")}}
			direct.Identity.Subject = subject
			if _, err := b.node.CallOnce(t.Context(), ledgerRef, direct); err != nil {
				t.Fatal(err)
			}
			b.node.RenameProducer(ledgerRef, runtime.KeyID("order 1", subject), id)
			if got, err := b.node.CallOnce(t.Context(), ledgerRef, direct); err != nil || string(got) != "7" || b.total(ledgerRef) != 7 {
				t.Errorf("%q: got %s, %v and total %d, want the first answer", subject, got, err, b.total(ledgerRef))
			}
		})
	}
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

// The id that a client gives itself is its subject's: a stranger who has it, or takes it
// first, gets no answer of another one's call, and does not make that run twice. An
// Idempotency-Key may be guessed, and so what it becomes.
func TestG5_NobodyCallsAsTheProducerOfAnother(t *testing.T) {
	for _, test := range []struct {
		name     string
		any      bool
		dan, eve string // subjects
	}{
		{"subjects", false, "dan", "eve"},
		{"subjects, and the actor allows any", true, "dan", "eve"},
		{"no subjects", false, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				reg := actor.NewRegistry(ledgerDef, actor.WithOptions(actor.Options{AnySubject: test.any}))
				b := newBench(t, memory.New(memory.Options{}), reg)
				asEve := as("eve")
				asEve.Producer, asEve.Identity.Subject = "key-1", test.eve
				eve := b.open(ledgerRef, asEve)
				eve.read()
				direct := host.DirectCall{Create: true, IdempotencyKey: "key-1", Action: "add", Args: []json.RawMessage{[]byte("7")}}
				direct.Identity.Subject = test.dan
				for range 2 {
					if got, err := b.node.CallOnce(t.Context(), ledgerRef, direct); err != nil || string(got) != "7" {
						t.Errorf("dan got %s, %v, want 7", got, err)
					}
					b.node.Ack(ledgerRef, eve.req.Attachment, 1)
				}
				eve.call(1, "add", 5)
				if got := kinds(eve.read()); !strings.Contains(got, "reply:12") || b.total(ledgerRef) != 12 {
					t.Errorf("eve got %q and the total is %d, want a reply and 12", got, b.total(ledgerRef))
				}
				if got, err := b.node.CallOnce(t.Context(), ledgerRef, direct); err != nil || string(got) != "7" || b.total(ledgerRef) != 12 {
					t.Errorf("dan's call, repeated: got %s, %v, want 7", got, err)
				}
			})
		})
	}
}

// A connection that any subject may resume keeps what it has called.
func TestG5_ACallDoesNotRunAgainForAnotherSubjectOfItsConnection(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			reg := actor.NewRegistry(ledgerDef, actor.WithOptions(actor.Options{AnySubject: true}))
			b := newBench(t, memory.New(memory.Options{}), reg)
			r := asAda
			r.Identity.Subject = "guest"
			guest := b.open(ledgerRef, r)
			guest.call(1, "add", 5)
			guest.read()
			if restart {
				b.restart()
			}
			r.Identity.Subject = "ada"
			ada := b.open(ledgerRef, r)
			ada.call(1, "add", 5)
			if got := ada.read(); !got[0].Opened.Resumed || b.total(ledgerRef) != 5 {
				t.Errorf("restart %t: got %s and total %d, want a resumed connection, whose call does not run again", restart, kinds(got), b.total(ledgerRef))
			}
		})
	}
}

// A Disconnect ends what was authenticated before it, in each process by the moments that this
// one has counted.
func TestSubject_disconnectedInACluster(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		parts := runtime.PartitionsOf(b.node)
		open := func(conn string, asked host.Moment) string {
			r := as(conn)
			r.Identity = host.Identity{Subject: "ada", Asked: asked}
			return kinds(b.open(ledgerRef, r).read())
		}
		here := parts.Moment()
		if got := open("before", here); got != "opened " {
			t.Fatalf("got %q", got)
		}
		began := []host.Moment{parts.Moment(), {Process: 7, N: 100}, {Process: 8, N: 200}}
		if err := parts.Disconnect(t.Context(), "ada", "signed out", began); err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			asked host.Moment
			want  string
		}{
			"here, before":                  {here, "closed:identity "},
			"here, after":                   {parts.Moment(), "opened "},
			"there, before":                 {host.Moment{Process: 7, N: 99}, "closed:identity "},
			"there, after":                  {host.Moment{Process: 7, N: 101}, "opened "},
			"elsewhere, before":             {host.Moment{Process: 8, N: 101}, "closed:identity "},
			"a process that has come since": {host.Moment{Process: 9, N: 1}, "opened "},
		} {
			if got := open(name, test.asked); got != test.want {
				t.Errorf("%s: got %q, want %q", name, got, test.want)
			}
		}
	})
}

// A node that was out of its cluster does not know who was disconnected meanwhile.
func TestSubject_disconnectedBetweenTwoJoins(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		parts := runtime.PartitionsOf(b.node)
		before := parts.Moment()
		joined := parts.Joined()
		for name, test := range map[string]struct {
			asked host.Moment
			want  string
		}{
			"before":     {before, "closed:identity "},
			"since":      {joined, "opened "},
			"after":      {parts.Moment(), "opened "},
			"by another": {host.Moment{Process: joined.Process + 1, N: before.N}, "opened "},
			"by no one":  {host.Moment{}, "opened "},
		} {
			r := as(name)
			r.Identity = host.Identity{Subject: "ada", Asked: test.asked}
			if got := kinds(b.open(ledgerRef, r).read()); got != test.want {
				t.Errorf("%s: got %q, want %q", name, got, test.want)
			}
		}
	})
}
