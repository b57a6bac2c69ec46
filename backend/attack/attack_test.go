package attack

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/wire"
)

// text is about 10 KB, of which each is different.
func text(i int) string { return name(i) + strings.Repeat("x", 9_900) }

func article(i int) map[string]string {
	return map[string]string{"category": "c", "content": text(i), "level": "public"}
}

// TestKeptAnswers: the answers that are kept for single calls with an Idempotency-Key make
// neither later calls nor other actors slower, and take a bounded amount of memory.
func TestKeptAnswers(t *testing.T) {
	s := start(t, noRates...)
	v := s.visitor(strangerAddr)
	window := times(1_000, 400)
	total := times(10_000, 2_800)
	done := 0
	publish := func(n int) {
		each(n, func(i int) { v.action("newsRoom", "publishArticle", "n", name(done+i), article(done+i)) })
		done += n
	}
	publish(window / 2)
	sent, wrote := v.sent.Load(), s.written()
	first := s.perRequest(window, publish)
	publish(total - done - window)
	s.notGrowing(t, "keyed call", first, window, publish)
	s.amplified(t, s.written()-wrote, v.sent.Load()-sent)
	s.attacked(t, func() { publish(times(5_000, 10)) })
	const most = 250 << 20
	if m := s.memory(); m > most {
		t.Errorf("the server has %d MB in memory, want at most %d", m>>20, most>>20)
	}
}

// TestG5_UnansweredCall: an unanswered call that its client sends again does not run twice,
// whatever others have called meanwhile.
func TestG5_UnansweredCall(t *testing.T) {
	s := start(t, append(noRates, "-journal-bytes=200000")...)
	payer := s.visitor(bystanderAddr)
	k := payer.socket()
	open := payer.open(1, "chatRoom", "bank", nil)
	k.send(open)
	k.await(isType(wire.TypeAt))
	pay := call(1, 1, "sendMessage", "ada", "pay 100")
	k.send(pay)
	k.await(isType(wire.TypeReply)) // which the client does not get to see
	k.drop()

	v := s.visitor(strangerAddr)
	each(10_700, func(i int) { v.action("chatRoom", "sendMessage", "bank", name(i), "eve", "x") })

	k = payer.socket()
	k.send(open)
	k.await(isType(wire.TypeAt))
	k.send(pay)
	if m, _ := k.await(isType(wire.TypeReply, wire.TypeFail)); m.Code != wire.CodeRan {
		t.Errorf("got %s %s %s for a call that was sent again, want fail ran", m.Type, m.Code, m.Data)
	}
}

// TestG3_DetachedReader: a reader that is away for a moment comes back without a gap,
// however many connections others open and leave meanwhile.
func TestG3_DetachedReader(t *testing.T) {
	s := start(t, noRates...)
	reader := s.visitor(bystanderAddr)
	k := reader.socket()
	open := reader.open(1, "newsRoom", "r", nil)
	open.Subs = []string{"newArticle"}
	k.send(open)
	opened, _ := k.await(isType(wire.TypeOpened))
	at, _ := k.await(isType(wire.TypeAt))
	k.drop()

	v := s.visitor(strangerAddr)
	const channels = 100
	window := func(n int) {
		for range n / channels {
			k := v.socket()
			for c := range uint32(channels) {
				k.send(v.open(c+1, "newsRoom", "r", nil))
			}
			for range channels {
				k.await(isType(wire.TypeAt))
			}
			k.drop()
		}
	}
	window(500)
	first := s.perRequest(1_000, window)
	window(7_500)
	s.notGrowing(t, "open", first, 1_000, window)
	window(1_500)
	v.action("newsRoom", "publishArticle", "r", "", article(0))

	open.Log, open.Seq = opened.Log, at.Seq
	k = reader.socket()
	k.send(open)
	_, before := k.await(isType(wire.TypeAt))
	for _, m := range before {
		if m.Type == wire.TypeOpened && (!m.Resumed || m.Lost != nil) {
			t.Errorf("the reader resumed: %t, lost: %+v; want all that it missed", m.Resumed, m.Lost)
		}
	}
	if last := before[len(before)-1]; last.Type != wire.TypeEvent {
		t.Errorf("the reader got %+v, want the article", last)
	}
}

// TestIdleHeaders: sockets that keep long headers for OnAuth do not take the room of others.
func TestIdleHeaders(t *testing.T) {
	s := start(t, append(noRates, "-max-buffers=4000000")...)
	v := s.visitor(strangerAddr)
	s.attacked(t, func() {
		refused := 0
		for range times(300, 80) {
			k, err := v.tryDial("Cookie", strings.Repeat("x", 60<<10))
			if err != nil {
				refused++
				continue
			}
			t.Cleanup(k.drop)
		}
		if refused == 0 {
			t.Error("headers of 60 KiB were accepted")
		}
		for range times(300, 80) {
			v.socket("Cookie", strings.Repeat("x", 7<<10))
		}
	})
}

// TestBytesOfOpens: what an open makes the server write does not depend on how much
// OnConnect sends to the newcomer. A commit alone writes a page of 8 KiB, more than 20 times
// the bytes of an open. Opens at the same time share it, so they come over 16 sockets.
func TestBytesOfOpens(t *testing.T) {
	s := start(t, noRates...)
	others := s.visitor(bystanderAddr)
	each(100, func(i int) { others.action("newsRoom", "publishArticle", "w", "", article(i)) })
	v := s.visitor(strangerAddr)
	window := func(n int) {
		eachOf(16, n, func(int) {
			k := v.socket()
			defer k.drop()
			k.send(v.open(1, "newsRoom", "w", nil))
			if m, _ := k.await(isType(wire.TypeEvent)); len(m.Data) < 200_000 {
				t.Errorf("a newcomer gets %d bytes of articles, want more for this test", len(m.Data))
			}
		})
	}
	opens := times(1_000, 150)
	sent, wrote := v.sent.Load(), s.written() // before the bystander writes, too
	first := s.perRequest(opens, window)
	s.amplified(t, s.written()-wrote, v.sent.Load()-sent)
	s.notGrowing(t, "open of a long room", first, opens, window)
	s.attacked(t, func() { window(times(500, 10)) })
}

// TestOpensOfALongLog: what an open costs does not grow with the log that others have left,
// neither for a client that has missed all of it nor for one whose call is unanswered.
func TestOpensOfALongLog(t *testing.T) {
	s := start(t, append(noRates, "-journal-bytes=1000000000")...) // it is not trimmed meanwhile
	v := s.visitor(strangerAddr)
	k := v.socket()
	first := v.open(1, "newsRoom", "l", nil)
	k.send(first)
	opened, _ := k.await(isType(wire.TypeOpened))
	k.await(isType(wire.TypeAt))
	k.send(call(1, 1, "publishArticle", article(0)))
	k.await(isType(wire.TypeReply))

	others := s.visitor(bystanderAddr)
	publish := func(n int) {
		each(n, func(i int) { others.action("newsRoom", "publishArticle", "l", "", article(i)) })
	}
	open := func(again wire.ClientMessage) func(n int) {
		return func(n int) {
			for range n {
				k := v.socket()
				again.Secret = v.secret()
				k.send(again)
				k.await(isType(wire.TypeAt))
				k.drop()
			}
		}
	}
	missed, unanswered := v.open(1, "newsRoom", "l", nil), first
	missed.Log, missed.Seq = opened.Log, opened.Seq
	opens := times(100, 40)
	publish(200)
	open(missed)(10)
	calm, calmUnanswered := s.perRequest(opens, open(missed)), s.perRequest(opens, open(unanswered))
	publish(times(3_000, 1_500))
	s.notGrowing(t, "open with a gap", calm, opens, open(missed))
	s.notGrowing(t, "open with an unanswered call", calmUnanswered, opens, open(unanswered))
	s.attacked(t, func() {
		open(missed)(opens)
		open(unanswered)(opens)
	})
}

// TestMemoryOfActors: the states and logs of rooms that strangers fill take a bounded amount
// of memory, though an idle connection keeps each room there.
func TestMemoryOfActors(t *testing.T) {
	const limit = 32 << 20
	s := start(t, append(noRates, "-actor-rate-per-ip=0", fmt.Sprint("-max-actor-bytes=", limit))...)
	v := s.visitor(strangerAddr)
	before := s.memory()
	s.attacked(t, func() {
		k := v.socket()
		rooms := times(90, 60)
		for room := range rooms {
			k.send(v.open(uint32(room+1), "newsRoom", name(room), nil))
			if m, _ := k.await(isType(wire.TypeAt, wire.TypeClosed, wire.TypeError)); m.Type != wire.TypeAt {
				t.Fatalf("room %d: %+v", room, m)
			}
		}
		each(50*rooms, func(i int) { v.action("newsRoom", "publishArticle", name(i%rooms), "", article(i)) })
	})
	counted := s.metric("troupe_actor_bytes")
	t.Logf("%.1f MB of states and logs, %d MB of memory, before %d", counted/1e6, s.memory()>>20, before>>20)
	if counted > limit {
		t.Errorf("the states and logs have %.0f bytes, want at most %d", counted, limit)
	}
}

// TestNewActors: what one address may leave is bounded, and others may make actors meanwhile.
func TestNewActors(t *testing.T) {
	s := start(t, noRates...)
	v := s.visitor(strangerAddr)
	status := map[int]int{}
	begin := time.Now()
	for i := range 1_000 {
		path := "/api/actors/chatRoom/actions/sendMessage?key=" + name(i)
		if i%2 == 0 {
			code, _ := v.post(path, map[string]any{"args": []any{"eve", "x"}})
			status[code]++
		} else {
			code, _ := v.post("/api/actors/chatRoom", map[string]any{"key": []string{name(i)}})
			status[code]++
		}
	}
	made := status[http.StatusOK] + status[http.StatusCreated]
	if most := 500 + 5*int(time.Since(begin).Seconds()+1); made > most || made+status[http.StatusTooManyRequests] != 1_000 {
		t.Errorf("the server answered with %v, want at most %d new actors and else status 429", status, most)
	}
	if refused := s.metric(`troupe_actors_created_total{result="refused"}`); int(refused) != status[http.StatusTooManyRequests] {
		t.Errorf("the metric says %v refused, want %d", refused, status[http.StatusTooManyRequests])
	}
	s.bystander().call()
}
