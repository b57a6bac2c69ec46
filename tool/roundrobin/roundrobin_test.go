package roundrobin

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// newNode is a server that answers with its name, the request's body, Host and client. At /socket it
// takes a WebSocket, on which it says its name.
func newNode(t *testing.T, name string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/socket" {
			ws, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer ws.CloseNow()
			for {
				_, b, err := ws.Read(r.Context())
				if err != nil {
					return
				}
				if err := ws.Write(r.Context(), websocket.MessageText, append([]byte(name+" "), b...)); err != nil {
					return
				}
			}
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, name, " ", r.Method, " ", string(body), " ", r.Host, " ", r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(s.Close)
	return s
}

func newProxy(t *testing.T, targets ...string) *httptest.Server {
	s := httptest.NewUnstartedServer(New(func() []string { return targets }))
	s.Config.ErrorLog = log.New(t.Output(), "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func post(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "example.com"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// Requests of one client go to each server in turn, and a server that has ended is skipped.
func TestEachInTurn(t *testing.T) {
	a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
	dead := newNode(t, "dead")
	dead.Close()
	address := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for _, test := range []struct {
		name    string
		targets []string
		want    map[string]int // of 12 requests
	}{
		{"all", []string{address(a), address(b), address(c)}, map[string]int{"a": 4, "b": 4, "c": 4}},
		{"one has ended", []string{address(a), address(dead), address(c)}, map[string]int{"a": 4, "c": 8}},
		{"one is left", []string{address(dead), address(b), address(dead)}, map[string]int{"b": 12}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProxy(t, test.targets...)
			got := map[string]int{}
			for i := range 12 {
				body := fmt.Sprint("body", i)
				status, answer := post(t, p.URL+"/x", body)
				name, rest, _ := strings.Cut(answer, " ")
				if want := "POST " + body + " example.com 127.0.0.1"; status != http.StatusOK || rest != want {
					t.Errorf("got %d %q, want %q", status, rest, want)
				}
				got[name]++
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	dead := newNode(t, "dead")
	dead.Close()
	for _, targets := range [][]string{nil, {dead.Listener.Addr().String()}} {
		if status, answer := post(t, newProxy(t, targets...).URL, ""); status != http.StatusBadGateway || !strings.Contains(answer, "no server") {
			t.Errorf("with %d servers: got %d %q, want 502", len(targets), status, answer)
		}
	}
}

// WebSockets of one client go to each server in turn, and stay there.
func TestWebSockets(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	p := newProxy(t, a.Listener.Addr().String(), b.Listener.Addr().String())
	ctx := context.Background()
	got := map[string]bool{}
	for range 2 {
		ws, _, err := websocket.Dial(ctx, p.URL+"/socket", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		var answers []string
		for range 2 {
			if err := ws.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			_, answer, err := ws.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, string(answer))
		}
		if answers[0] != answers[1] {
			t.Errorf("one socket was answered by %q", answers)
		}
		got[answers[0]] = true
	}
	if len(got) != 2 {
		t.Errorf("two sockets were answered by %v, want two servers", got)
	}
}
