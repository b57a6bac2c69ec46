package httpcall

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/metric"
	"github.com/troupe-dev/troupe/backend/wire"
)

func newResponder(b *limit.Buffers) *Responder {
	return &Responder{Buffers: b, Errors: &metric.Names{}, Fault: func(err error) *host.Fault {
		var e *host.Fault
		if errors.As(err, &e) {
			return e
		}
		return host.Faultf(wire.CodeInternal, "internal")
	}}
}

func TestFail(t *testing.T) {
	for _, tc := range []struct {
		err        error
		status     int
		retryAfter string
	}{
		{host.Faultf(wire.CodeNotFound, "no"), 404, ""},
		{host.Faultf("my_own_code", "no"), 422, ""},
		{host.Faultf(wire.CodeIdempotencyMismatch, "no"), 422, ""},
		{host.Faultf(wire.CodeTooDeep, "no"), 400, ""},
		{host.Faultf(wire.CodeShutdown, "no"), 503, "1"},
		{host.Limit{Limit: 1, Option: "x", RetryAfterMs: 1500}.Fault(wire.CodeRateLimited, "no"), 429, "2"},
		{context.Canceled, 500, ""},
		{errors.New("secret"), 500, ""},
	} {
		w := httptest.NewRecorder()
		p := newResponder(limit.NewBuffers(0))
		p.Fail(w, tc.err)
		if got := w.Header().Get("Retry-After"); w.Code != tc.status || got != tc.retryAfter {
			t.Errorf("%v: got %d, Retry-After %q, want %d, %q", tc.err, w.Code, got, tc.status, tc.retryAfter)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("the client got %s", w.Body)
		}
		if n := p.Errors.Snapshot(); len(n) != 1 {
			t.Errorf("%v: counted %v, want one error", tc.err, n)
		}
	}
}

func TestReadBody(t *testing.T) {
	for _, tc := range []struct {
		body string
		code wire.Code // empty: it is decoded
	}{
		{`{"x":1}`, ""},
		{" \n", ""},
		{`{"x":"1"}`, wire.CodeMalformed},
		{`{"x":1`, wire.CodeMalformed},
		{`{"x":1}}`, wire.CodeMalformed},
		{`{"x":1,"x":2}`, wire.CodeMalformed},
		{`{"X":1}`, wire.CodeMalformed},
		{`{"x":1,"y":"` + strings.Repeat("y", 100) + `"}`, wire.CodeTooLarge},
	} {
		var v struct {
			X int `json:"x"`
		}
		b := limit.NewBuffers(0)
		err := newResponder(b).ReadBody(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader(tc.body)), Body{Option: "message", MaxBytes: 100, Form: `{"x":…}`, Members: []string{"x"}}, &v)
		var e *host.Fault
		if errors.As(err, &e); tc.code == "" && err != nil || tc.code != "" && (e == nil || e.Code != tc.code) {
			t.Errorf("%s: got %v, want code %q", tc.body, err, tc.code)
		}
		if n := b.Reserved(); n != 0 {
			t.Errorf("%s: %d bytes are still counted", tc.body, n)
		}
	}
}
