package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/wire"
)

// brokenStore fails, once broken is set, with errors like those of a database.
type brokenStore struct {
	store.Store
	broken atomic.Bool
}

func (s *brokenStore) trouble() error {
	if s.broken.Load() {
		return errors.New("/var/lib/secret.db: SELECT * FROM states: disk I/O error")
	}
	return nil
}

func (s *brokenStore) Commit(ctx context.Context, group []*store.Commit) []error {
	if err := s.trouble(); err != nil {
		return slices.Repeat([]error{err}, len(group))
	}
	return s.Store.Commit(ctx, group)
}

func (s *brokenStore) Load(ctx context.Context, actor string) (*store.Snapshot, error) {
	if err := s.trouble(); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, actor)
}

// internals may appear in the log only: files, types, functions, queries.
var internals = regexp.MustCompile(`(?i)\.go\b|goroutine|runtime|github\.com|gateway_test|Room(Params)?\b.*struct|struct field|json:|\[\]json|RawMessage|reflect|\*?gateway\.|actor\.[A-Z]|SELECT|secret\.db|/var/|asked to|0x[0-9a-f]{6}|unmarshal`)

// No error shows clients anything internal.
func TestErrorsTellNothingInternal(t *testing.T) {
	var broken *brokenStore
	run(t, func(t *testing.T, e *env) {
		broken.broken.Store(false)
		check := func(what, answer string) {
			t.Helper()
			answer = strings.ReplaceAll(answer, "actor.Options.", "") // the option of a limit, for the operator
			if found := internals.FindString(answer); found != "" {
				t.Errorf("%s: the answer contains %q: %s", what, found, answer)
			}
		}
		socket := func(frames ...string) (got int) {
			t.Helper()
			for i, frame := range frames {
				c := e.dial()
				c.open(1, fmt.Sprint("someone", i), `"subs":["said"]`)
				e.settle()
				c.take()
				c.send(frame)
				e.settle()
				for _, m := range c.takeMessages() {
					check(frame, fmt.Sprintf("%s %s %s", m.Code, m.Message, m.Metadata))
					got++
				}
				c.cut()
			}
			return got
		}
		request := func(method, target, body string) {
			t.Helper()
			w := httptest.NewRecorder()
			e.h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body)))
			if w.Code < 400 {
				t.Errorf("%s %s: got %d, want an error", method, target, w.Code)
			}
			check(method+" "+target+" "+body, w.Body.String())
		}
		messages := []string{
			callFrame(1, 1, "panic"), callFrame(1, 1, "fail", "no"), callFrame(1, 1, "echo", 7), callFrame(1, 1, "echo", map[string]any{"a": 1}),
			callFrame(1, 1, "burst", "many", 1), callFrame(1, 1, "burst", 1.5, 1), callFrame(1, 1, "burst", 1e300, 1), callFrame(1, 1, "nope"),
			callFrame(1, 1, "big", 2<<20), callFrame(1, 1, "onConnect"), callFrame(1, 1, "say"),
			`{"t":"call","c":1,"id":1,"a":7}`, `{"t":"call","c":"x","id":1}`, `{"t":"sub","c":1,"e":7}`, `{"t":"sub","c":1,"e":["nope"]}`,
			openFrame(2, "x", `"params":{"refuse":7}`), openFrame(2, "x", `"params":[]`), openFrame(2, "x", `"params":"x"`), openFrame(2, "x", `"key":7`),
			openFrame(2, "x", `"actor":"nope"`), openFrame(2, "x", `"k":"nope"`), openFrame(2, "x", `"actorId":"../../etc/passwd"`),
			`{"t":"params","c":1,"params":7}`, `{"t":"params","c":1,"params":{"refuse":7}}`, `[1,null,"x"]`, `{"t":7}`,
		}
		if n := socket(messages...); n < len(messages) {
			t.Errorf("%d answers to %d messages: not all were looked at", n, len(messages))
		}
		requests := func() {
			t.Helper()
			for _, body := range []string{`{"args":["x"]`, `{"args":"x"}`, `{"args":{"a":1}}`, `[]`, `7`, "\x00", `{"args":[1e999]}`, `{"args":[7]}`} {
				request("POST", "/api/actors/room/actions/say?key=a", body)
			}
			request("POST", "/api/actors/room/actions/panic?key=a", `{"args":[]}`)
			request("POST", "/api/actors/room/actions/nope?key=a", `{"args":[]}`)
			request("POST", "/api/actors/room", `{"key":{"a":1}}`)
			request("POST", "/api/actors/room", `{"key":7}`)
			request("POST", "/api/actors/nope", `{"key":["a"]}`)
			request("GET", "/api/actors/room?id=nope", "")
			request("POST", "/api/stream", `{"socket":7}`)
			request("POST", "/api/stream", `{"socket":"nope","n":1,"frame":[]}`)
			request("POST", "/api/poll", `{"socket":7}`)
			request("GET", "/api/socket?v=1", "")
		}
		requests()
		broken.broken.Store(true)
		for _, frame := range []string{callFrame(1, 1, "say", "x"), openFrame(2, "x", `"key":["other"]`), callFrame(1, 2, "echo", "x")} {
			c := e.dial()
			c.send(openFrame(1, "x"), frame)
			time.Sleep(time.Second)
			for _, m := range c.takeMessages() {
				check("with a broken store, "+frame, fmt.Sprintf("%s %s %s", m.Code, m.Message, m.Metadata))
			}
			c.cut()
		}
		requests()
		request("POST", "/api/actors/room/actions/say?key=a", `{"args":["x"]}`)
		broken.broken.Store(false)
		if !strings.Contains(e.logs.String(), "secret.db") || !strings.Contains(e.logs.String(), "asked to") {
			t.Error("the log lacks what clients do not get")
		}
	}, func(e *env) {
		broken = &brokenStore{Store: memory.New(memory.Options{})}
		e.store = broken
	}, unchecked, gatewayOptions(gateway.Options{Limits: wire.Limits{Rate: 1e6, Burst: 1e6}}))
}
