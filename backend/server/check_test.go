package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// Pump is an actor whose actions fail unexpectedly.
type Pump struct{}

// pumpParams are the params of a connection.
type pumpParams struct {
	Broken bool `json:"broken,omitempty"`
}

// OnBeforeConnect fails if the params say so.
func (*Pump) OnBeforeConnect(_ *actor.ConnectContext, p pumpParams) error {
	if p.Broken {
		return errors.New("the hook is broken")
	}
	return nil
}

// Start returns an error that is not the client's.
func (*Pump) Start(*actor.Context[actor.NoState]) error { return errors.New("the pump is broken") }

// Stop panics.
func (*Pump) Stop(*actor.Context[actor.NoState]) { panic("the valve is broken") }

// In check mode clients get the causes of internal errors, over HTTP and over a
// socket; else nothing of them.
func TestCheck_causes(t *testing.T) {
	pumps := actor.NewRegistry(actor.Define[Pump]("pump"))
	for _, check := range []bool{true, false} {
		t.Run(fmt.Sprintf("Check: %v", check), func(t *testing.T) {
			o := server.Options{Store: memory.New(memory.Options{Retention: pumps.Retention()}), Check: check}
			logTo(&o)
			s, err := server.New(pumps, o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close(context.Background())
			web := httptest.NewServer(s.Handler())
			defer web.Close()
			expect := func(what, got, cause string) {
				t.Helper()
				if !strings.Contains(got, "internal_error") || strings.Contains(got, cause) != check {
					t.Errorf("%s: got %s, want internal_error, and %q: %v", what, got, cause, check)
				}
			}
			for action, cause := range map[string]string{"start": "the pump is broken", "stop": "the valve is broken"} {
				response, err := http.Post(web.URL+"/api/actors/pump/actions/"+action+"?key=a", "application/json", strings.NewReader(`{"args":[]}`))
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				if err != nil || response.Body.Close() != nil || response.StatusCode != http.StatusInternalServerError {
					t.Errorf("%s: got %s, %v, want 500", action, response.Status, err)
				}
				expect(action+" over HTTP", string(body), cause)
			}
			conn, _, err := websocket.Dial(t.Context(), strings.Replace(web.URL, "http", "ws", 1)+"/api/socket?v=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			open := `{"t":"open","c":%d,"actor":"pump","key":["a"],"k":"` + secret + `","caller":"` + caller + `","params":{"broken":%v}}`
			for _, test := range []struct{ what, frame, cause string }{
				{"a hook", fmt.Sprintf(open, 2, true), "the hook is broken"},
				{"start on a socket", fmt.Sprintf(open, 1, false) + "\n" + `{"t":"call","c":1,"id":1,"a":"start","args":[]}`, "the pump is broken"},
			} {
				for _, frame := range strings.Split(test.frame, "\n") {
					write(t, conn, frame)
				}
				expect(test.what, frameWith(t, conn, "internal_error"), test.cause)
			}
		})
	}
}

// frameWith reads frames until one has a text.
func frameWith(t *testing.T, conn *websocket.Conn, text string) string {
	t.Helper()
	for {
		_, frame, err := conn.Read(t.Context())
		if err != nil {
			t.Fatalf("waiting for %s: %v", text, err)
		}
		if strings.Contains(string(frame), text) {
			return string(frame)
		}
	}
}
