package host_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

func event(seq uint64, size int) *host.Output {
	return &host.Output{Kind: host.OutputEvent, Numbered: true, Seq: seq, Event: "e", Data: make([]byte, size), TimeMs: int64(seq)}
}

func seqs(outputs []*host.Output) string {
	s := ""
	for _, o := range outputs {
		s += fmt.Sprint(o.Seq, " ")
	}
	return s
}

func TestALogIsReadFromACursor(t *testing.T) {
	w := host.NewLog("a", 1<<20, nil)
	l := w.Log()
	w.Start("identity", 10)
	from := l.Visible()
	add(w, event(11, 1), event(12, 1))
	add(w, event(13, 1))
	got, next, ok := l.Read(from, nil, 2)
	if seqs(got) != "11 12 " || !ok {
		t.Errorf("got %s %v, want 11 12", seqs(got), ok)
	}
	got, next, _ = l.Read(next, nil, 10)
	if seqs(got) != "13 " {
		t.Errorf("got %s, want 13", seqs(got))
	}
	if got, _, ok = l.Read(next, nil, 10); len(got) != 0 || !ok {
		t.Errorf("got %s %v at the end, want nothing", seqs(got), ok)
	}
	for _, test := range []struct {
		seq  uint64
		want string
		ok   bool
	}{{9, "", false}, {10, "11 12 13 ", true}, {12, "13 ", true}, {13, "", true}} {
		pos, ok := l.After(test.seq)
		if got, _, _ := l.Read(pos, nil, 10); ok != test.ok || ok && seqs(got) != test.want {
			t.Errorf("after %d: got %s %v, want %s %v", test.seq, seqs(got), ok, test.want, test.ok)
		}
	}
	if l.Head() != 13 || l.Identity() != "identity" {
		t.Errorf("got head %d of %s", l.Head(), l.Identity())
	}
}

func TestALogKeepsABoundedPartInMemoryAndTheRestInTheStore(t *testing.T) {
	const entries = 100
	stored := func(_ context.Context, after uint64, limit, _ int) (es []store.Entry, err error) {
		for seq := after + 1; seq <= entries+5 && len(es) < limit; seq++ { // some are durable, but not visible yet
			es = append(es, store.Entry{Seq: seq, Event: "e"})
		}
		return es, nil
	}
	w := host.NewLog("a", 20_000, stored)
	l := w.Log()
	w.Start("identity", 0)
	for seq := range uint64(entries) {
		add(w, event(seq+1, 500))
	}
	if _, _, ok := l.Read(0, nil, 10); ok {
		t.Error("the log keeps everything in memory")
	}
	if _, ok := l.After(5); ok {
		t.Error("After(5) reports that entry 6 is in memory")
	}
	pos, ok := l.After(95)
	if got, _, _ := l.Read(pos, nil, 10); !ok || seqs(got) != "96 97 98 99 100 " {
		t.Errorf("got %s %v, want the newest", seqs(got), ok)
	}
	got, err := l.Stored(context.Background(), 97, 10, 1<<20)
	if err != nil || seqs(got) != "98 99 100 " {
		t.Errorf("got %s %v from the store, want what is visible", seqs(got), err)
	}
}

type counting struct{ n int }

func (c *counting) Published() { c.n++ }

func TestFollowersAreNotifiedUntilTheyUnfollow(t *testing.T) {
	w := host.NewLog("a", 1<<20, nil)
	w.Start("identity", 0)
	a, b := &counting{}, &counting{}
	w.Follow(a)
	w.Follow(b)
	add(w, event(1, 1))
	if none := w.Unfollow(a); none {
		t.Error("none is left, says the log; one is")
	}
	add(w, event(2, 1))
	if none := w.Unfollow(b); !none {
		t.Error("one is left, says the log; none is")
	}
	if a.n != 1 || b.n != 2 {
		t.Errorf("notified %d and %d times, want 1 and 2", a.n, b.n)
	}
}

// shrinking shrinks the log as soon as it is notified.
type shrinking struct{ w *host.LogWriter }

func (s shrinking) Published() { s.w.Shrink(0) }

// reading reads the log as soon as it is notified.
type reading struct {
	log  *host.Log
	pos  host.Pos
	got  string
	lost bool
}

func (r *reading) Published() {
	outputs, next, ok := r.log.Read(r.pos, nil, 10)
	r.pos, r.got, r.lost = next, r.got+seqs(outputs), r.lost || !ok
}

// Answers are in memory only: a follower that is notified of one must find it.
func TestALogShrinksByWhatItsFollowersKnow(t *testing.T) {
	w := host.NewLog("a", 1<<20, nil)
	reader := &reading{log: w.Log()}
	w.Follow(shrinking{w})
	w.Follow(reader)
	add(w, event(1, 1), event(2, 1))
	add(w, event(3, 1))
	if reader.got != "1 2 3 " || reader.lost {
		t.Errorf("the second follower got %s(lost %v), want 1 2 3", reader.got, reader.lost)
	}
	w.Shrink(0)
	if n := w.Bytes(); n != 0 {
		t.Errorf("%d bytes are left, want none", n)
	}
}

// A copy that has fallen behind must not let a cursor pass over what it lacks.
func TestG3_ASkipLeavesNoHole(t *testing.T) {
	w := host.NewLog("a", 1<<20, nil)
	l := w.Log()
	w.Start("identity", 0)
	add(w, event(1, 1), event(2, 1), event(3, 1))
	end, early := l.Visible(), l.Visible()-1
	notified := &counting{}
	w.Follow(notified)
	fail := &host.Output{Kind: host.OutputFail, Seq: 5, To: host.Attachment{N: 1}}
	w.Skip("identity", 10, []*host.Output{fail}, false)
	if notified.n != 1 {
		t.Errorf("followers were notified %d times, want once", notified.n)
	}
	add(w, &host.Output{Kind: host.OutputReply, Seq: 4, To: host.Attachment{N: 1}}, event(11, 1))
	for _, pos := range []host.Pos{early, end} {
		if got, _, ok := l.Read(pos, nil, 10); ok {
			t.Errorf("a cursor before the skip read %s, as if nothing were missing", seqs(got))
		}
		next, lost := l.Resume(pos)
		if got, _, ok := l.Read(next, nil, 10); seqs(got) != "5 10 11 " || !ok || lost {
			t.Errorf("read on, it got %s (%v, lost %v), want 5, 10 and 11", seqs(got), ok, lost)
		}
	}
	for seq, want := range map[uint64]string{3: "", 9: "", 10: "10 11 ", 11: ""} {
		pos, ok := l.After(seq)
		if got, _, _ := l.Read(pos, nil, 10); ok != (seq >= 10) || ok && seqs(got) != want {
			t.Errorf("after %d: got %s %v, want %s", seq, seqs(got), ok, want)
		}
	}
	if l.Head() != 11 {
		t.Errorf("the head is %d, want 11", l.Head())
	}

	before := l.Visible()
	w.Skip("another", 20, nil, true)
	if next, lost := l.Resume(before); !lost || next != l.Visible() || l.Identity() != "another" {
		t.Errorf("got lost %v at %d of %s, want true at %d", lost, next, l.Identity(), l.Visible())
	}
	add(w, event(21, 1))
	w.Shrink(0)
	w.Skip("another", 22, nil, false)
	if _, lost := l.Resume(before); !lost {
		t.Error("what has left memory does not count as lost, because of a later skip")
	}
}

// add adds outputs that are visible at once.
func add(w *host.LogWriter, outputs ...*host.Output) { w.Release(w.Put(outputs...)) }
