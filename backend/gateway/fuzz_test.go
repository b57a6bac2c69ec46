package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/wire"
)

// noRates is for tests that send more than the default limits allow.
var noRates = gatewayOptions(gateway.Options{OpenRate: 1e6, OpenBurst: 1e6, Limits: wire.Limits{Rate: 1e6, Burst: 1e6}})

// FuzzHTTP: every HTTP request gets an answer with a code of package wire, and none makes
// the server fail (G9).
func FuzzHTTP(f *testing.F) {
	for _, s := range []string{
		"GET /api/actors/room?key=a HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"POST /api/actors/room/actions/say?key=a&key=b HTTP/1.1\r\nHost: example.com\r\nContent-Length: 14\r\n\r\n{\"args\":[\"x\"]}",
		"POST /api/actors/room/actions/say?key=a&create=false HTTP/1.1\r\nHost: example.com\r\nIdempotency-Key: k\r\n\r\n",
		"POST /api/actors/room/actions/burst?id=x HTTP/1.1\r\nHost: example.com\r\nOrigin: http://example.com\r\nContent-Length: 14\r\n\r\n{\"args\":[2,3]}",
		"POST /api/actors/room HTTP/1.1\r\nHost: example.com\r\nContent-Length: 23\r\n\r\n{\"key\":[\"a\"],\"input\":{}}",
		"OPTIONS /api/actors/room HTTP/1.1\r\nHost: example.com\r\nOrigin: null\r\nAccess-Control-Request-Method: POST\r\n\r\n",
		"GET /api/socket?v=1 HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"POST /api/actors/%72oom/actions/%2e%2e%2fcount?key=%00&key=%ff;key HTTP/1.1\r\nHost: a b\r\n\r\n",
		"POST //api/../api/actors/room/actions/echo?key=%F0%9F%8E%AD HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	var e *env
	stop := func() {
		if e != nil {
			e.stop()
		}
	}
	f.Cleanup(stop)
	requests := 0
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil || r.Header.Get("Upgrade") != "" { // sockets are FuzzSocket's
			return
		}
		if requests%10_000 == 0 { // what they have made is forgotten at times
			stop()
			e = newEnv(f, noRates)
		}
		requests++
		w := httptest.NewRecorder()
		e.h.ServeHTTP(w, r)
		var answer struct{ Code, Message *string }
		body := w.Body.Bytes()
		switch {
		case w.Code < 200 || w.Code > 599:
			t.Fatalf("got status %d", w.Code)
		case len(body) > 0 && json.Unmarshal(body, &answer) != nil:
			t.Fatalf("got %d %q, want JSON", w.Code, body)
		case w.Code >= 400 && (answer.Code == nil || answer.Message == nil):
			t.Fatalf("got %d %s, want a code and a message", w.Code, body)
		}
		asked := strings.HasSuffix(r.URL.Path, "/panic") || strings.HasSuffix(r.URL.Path, "/fail") // these actions fail on purpose
		if logs := e.logs.String(); !asked && (w.Code == http.StatusInternalServerError || strings.Contains(logs, "panic")) {
			t.Fatalf("got %d %s, and in the log\n%s", w.Code, body, logs)
		} else if asked {
			e.logs.reset()
		}
	})
}

// FuzzSocket: whatever a client sends, in any order, and however often it comes back, the
// server does not fail (G9), the client gets no event twice or out of order (G2, G3), and
// nothing of a connection whose secret it does not know: not by its id, nor by a secret,
// log, caller or number that it made up.
func FuzzSocket(f *testing.F) {
	for _, ops := range []string{
		"\x00\x00\x00\x00\x00\x00\x01\x00\x01\x02",
		"\x00\x01\x01\x00\x01\x01\x06\x00\x01\x01\x01\x01\x07\x00\x01\x01\x00\x01\x01",
		"\x00\x02\x02\x02\x02\x02\x06\x06\x00\x03\x03\x03\x03\x03\x06\x00\x04\x04\x04\x04\x04\x05\x05",
		"\x00\x05\x05\x05\x05\x05\x01\x00\x03\x03\x06\x02\x00\x01\x03\x00\x06\x04\x08{\"t\":\"beat\"}",
		"\x00\x00\x01\x02\x03\x04\x00\x01\x01\x02\x03\x04\x05\x06\x07\x00\x00\x01\x02\x03\x01",
	} {
		f.Add([]byte(ops))
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 300 {
			ops = ops[:300]
		}
		synctest.Test(t, func(t *testing.T) { fuzzSocket(t, script{ops}) })
	})
}

// script yields the choices of a run.
type script struct{ bytes []byte }

func (s *script) next() int {
	if len(s.bytes) == 0 {
		return 0
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return int(b)
}

func (s *script) take(n int) string {
	n = min(n, len(s.bytes))
	text := s.bytes[:n]
	s.bytes = s.bytes[n:]
	return string(text)
}

func pick[T any](s *script, from ...T) T { return from[s.next()%len(from)] }

func fuzzSocket(t *testing.T, s script) {
	e := newEnv(t, noRates)
	defer e.stop()

	// Ada whispers to herself; no one else may see it.
	ada := e.dial()
	ada.open(1, "ada", `"subs":["said"]`)
	e.settle()
	opened := ada.takeMessages()[0]
	const mark = "for ada only "
	whispers := 0
	whisper := func() {
		whispers++
		ada.call(1, whispers, "whisper", connOf("ada"), mark+secretOf(fmt.Sprint(whispers)))
	}
	whisper()

	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var mallory *client
	seen := map[uint32]uint64{} // by channel: the last number
	look := func() {
		for _, m := range mallory.takeMessages() {
			line := text(m)
			for n := range whispers {
				if strings.Contains(line, secretOf(fmt.Sprint(n+1))) {
					t.Fatalf("mallory got %s", line)
				}
			}
			switch m.Type {
			case wire.TypeOpened:
				if m.ConnID == connOf("ada") {
					t.Fatalf("mallory has Ada's connection: %s", line)
				}
				seen[m.Channel] = m.Seq
			case wire.TypeClosed:
				delete(seen, m.Channel)
			case wire.TypeEvent:
				if at, ok := seen[m.Channel]; !ok || m.Seq < at || m.Seq == at && m.Event != "moved" { // which has no number of its own
					t.Fatalf("mallory got %s after %v", line, seen)
				}
				seen[m.Channel] = m.Seq
			case wire.TypeReply, wire.TypeFail, wire.TypeAt, wire.TypeError, wire.TypeBye:
			default:
				t.Fatalf("mallory got %s", line)
			}
		}
	}
	dial := func() {
		if mallory != nil {
			e.settle()
			look()
			mallory.cut()
			e.clients = slices.DeleteFunc(e.clients, func(c *client) bool { return c == mallory })
		}
		mallory = e.dialOver(pick(&s, "", "", overStream))
		clear(seen)
	}
	dial()
	opens := 0
	for len(s.bytes) > 0 {
		switch c := 1 + s.next()%4; s.next() % 9 {
		case 0:
			opens++
			mallory.try("{" + strings.Join([]string{
				`"t":"open"`, `"c":` + fmt.Sprint(c),
				pick(&s, `"actor":"room"`, `"actor":"room","create":false`, `"actorId":`+text(opened.ActorID), `"actor":"nope"`),
				pick(&s, `"key":["lobby"]`, `"key":["other"]`, `"key":"lobby"`, `"key":["lobby","x"]`, `"key":[]`),
				`"k":` + text(pick(&s, secretOf("mallory"), secretOf("mallory 2"), connOf("ada"), opened.Log, opened.ActorID, secretOf("caller ada"),
					secretOf("ada")[:21]+"_", secretOf("ada")+"==", strings.ToLower(secretOf("ada")), "", secretOf(fmt.Sprint("new ", opens)))),
				`"caller":` + text(pick(&s, secretOf("caller mallory"), secretOf("caller mallory 2"), connOf("ada"), secretOf("ada")[:10], "")),
				pick(&s, `"log":""`, `"log":`+text(opened.Log), `"log":"AAAAAAAAAAAAAAAAAAAAAA"`, `"log":7`),
				`"s":` + pick(&s, "0", "1", "2", "5", "100", "18446744073709551615", "-1", "1.5", "null"),
				`"subs":` + pick(&s, `["said"]`, `["said","moved","whispered"]`, `[]`, `["nope"]`, `null`),
				`"ack":` + pick(&s, "0", "1", "100", "18446744073709551615"),
				`"params":` + pick(&s, `{}`, `{"greet":true}`, `{"refuse":"no"}`, `7`, `{"greet":1}`),
			}, ",") + "}")
		case 1:
			mallory.try(fmt.Sprintf(`{"t":"call","c":%d,"id":%s,"a":%s,"args":%s}`, c, pick(&s, "1", "2", "3", "4", "9", "0", "18446744073709551615"),
				text(pick(&s, "say", "mark", "move", "echo", "burst", "whisper", "me", "bounce", "count", "onConnect", "")),
				pick(&s, `["x"]`, `[]`, `[2,3]`, `[`+text(connOf("ada"))+`,"hi"]`, `[`+text(connOf("mallory"))+`,"hi"]`, `[null]`, `{}`)))
		case 2:
			mallory.try(fmt.Sprintf(`{"t":%s,"c":%d,"e":%s,"s":%d,"ack":%d}`, text(pick(&s, "sub", "unsub", "ack", "close", "params")), c,
				pick(&s, `["said"]`, `["whispered","moved"]`, `["nope"]`, `null`), s.next(), s.next()))
		case 3:
			mallory.try(s.take(s.next() % 64))
			if mallory.status() != 0 {
				dial()
			}
		case 4:
			dial()
		case 5:
			whisper()
		case 6:
			e.settle()
			look()
		case 7:
			ada.call(1, whispers+1, "say", "hello")
			whispers++ // its id
		case 8:
			time.Sleep(time.Duration(s.next()) * time.Second)
		}
		synctest.Wait()
		if mallory.status() != 0 {
			dial()
		}
	}
	e.settle()
	look()
	whisper()
	e.settle()
	got := ada.takeMessages()
	if n := len(got); n == 0 || got[n-1].Type != wire.TypeReply || got[n-1].ID != uint64(whispers) {
		t.Fatalf("Ada got %v, want the reply to her last call", got)
	}
	if logs := e.logs.String(); strings.Contains(logs, "panic") || strings.Contains(logs, "ERROR") {
		t.Fatal(logs)
	}
}

// FuzzPosts: every post and poll gets an answer with a code of package wire. Each batch
// takes effect once and in order; one that is repeated with another content or out of
// order does not, and other clients are not affected (G5, G9).
func FuzzPosts(f *testing.F) {
	for _, ops := range []string{
		"\x00\x00\x00\x01\x00\x02\x00\x03\x01\x01\x00", "\x04\x00\x05\x08[{\"t\":1}]\x00\x06\x01\x02\x03", "\x00\x07\x00\x08\x00\x01\x03\x03\x03",
	} {
		f.Add([]byte(ops))
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 300 {
			ops = ops[:300]
		}
		synctest.Test(t, func(t *testing.T) { fuzzPosts(t, script{ops}) })
	})
}

func fuzzPosts(t *testing.T, s script) {
	e := newEnv(t, noRates)
	defer e.stop()
	ada := e.dial()
	ada.open(1, "ada", `"subs":["said"]`)
	e.settle()
	ada.take()
	e.over = overPolls // for stop

	request := func(path, body string, want ...int) answer {
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		w := httptest.NewRecorder()
		e.h.ServeHTTP(w, r)
		a := answer{status: w.Code, body: w.Body.String()}
		if !slices.Contains(want, a.status) {
			t.Fatalf("POST %s %s: got %d %s, want one of %d", path, body, a.status, a.body, want)
		}
		if a.body != "" && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("POST %s %s: got %s, want JSON", path, body, a.body)
		}
		return a
	}
	socket, posts, polls, id, good := "", 0, 0, 0, 0
	begin := func() {
		socket = socketOf([]byte(request("/api/poll", `{"waitMs":0}`, 200).body))
		posts, polls = 1, 1
		request("/api/stream", fmt.Sprintf(`{"socket":%q,"n":1,"frame":%s}`, socket, openFrame(1, "mallory")), 204)
		e.settle()
	}
	begin()
	for len(s.bytes) > 0 {
		id++
		say := func(text string) string { return callFrame(1, id, "say", text) }
		switch s.next() % 9 {
		case 0: // the next one
			posts++
			good++
			if request("/api/stream", fmt.Sprintf(`{"socket":%q,"n":%d,"frame":%s}`, socket, posts, say(fmt.Sprint("good ", good))), 204, 404).status == 404 {
				good--
				begin()
			}
		case 1: // one that was taken
			request("/api/stream", fmt.Sprintf(`{"socket":%q,"n":%d,"frame":%s}`, socket, posts, say("evil")), 204, 404)
		case 2: // one that is out of order
			n := pick(&s, "0", fmt.Sprint(posts+2), fmt.Sprint(posts-1), "18446744073709551615", "-1", "1.5", "null", `"1"`)
			if n == fmt.Sprint(posts) || posts == 1 && n == "0" {
				n = "99"
			}
			request("/api/stream", fmt.Sprintf(`{"socket":%q,"n":%s,"frame":%s}`, socket, n, say("evil")), 400, 404, 409)
		case 3: // what has come
			polls++
			request("/api/poll", fmt.Sprintf(`{"socket":%q,"n":%d,"waitMs":%d}`, socket, polls, s.next()), 200, 404)
		case 4: // a socket that is none
			other := pick(&s, "", "x", secretOf("x"), strings.ToLower(socket), socket+"=", socket[:len(socket)-1])
			request("/api/stream", fmt.Sprintf(`{"socket":%q,"n":1,"frame":%s}`, other, say("evil")), 404)
		case 5: // anything as a frame: it may end the socket, or be what it looks like
			posts++
			body := fmt.Sprintf(`{"socket":%q,"n":%d,"frame":%s}`, socket, posts, s.take(s.next()%64))
			request("/api/stream", body, 204, 400, 404, 409, 413)
			begin()
		case 6: // anything at all
			request(pick(&s, "/api/stream", "/api/poll"), s.take(s.next()%64), 200, 204, 400, 404, 409, 413)
		case 7: // a poll that is odd
			request("/api/poll", fmt.Sprintf(`{"socket":%q,"n":%d,"waitMs":%d}`, socket, s.next()-128, s.next()-128), 200, 400, 404, 409)
		case 8:
			time.Sleep(time.Duration(s.next()) * time.Second)
		}
		synctest.Wait()
	}
	e.settle()
	heard := 0
	for _, m := range ada.takeMessages() {
		if m.Event != "said" {
			continue
		}
		heard++
		if want := fmt.Sprintf(`"good %d"`, heard); string(m.Data) != want {
			t.Fatalf("Ada heard %s, want %s", m.Data, want)
		}
	}
	if heard != good {
		t.Fatalf("Ada heard %d of %d", heard, good)
	}
	if logs := e.logs.String(); strings.Contains(logs, "panic") || strings.Contains(logs, "ERROR") {
		t.Fatal(logs)
	}
}
