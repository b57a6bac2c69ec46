package readme

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

var clubs = actor.NewRegistry(actor.Define[Club]("club"))

func TestClub(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		// In the bubble's time the sessions of the example have an end, too.
		as := func(session string) *actortest.Actor {
			return n.Actor("club", "chess").WithHeader("Cookie", "session="+session)
		}
		for _, session := range []string{"", "s1", "s2", "nonsense"} {
			if err := as(session).Fail("say", "hello"); err.Code != "forbidden" {
				t.Errorf("session %q makes a club: got %v", session, err)
			}
		}
		actortest.Call[any](as("s3"), "invite", "ada")
		for session, want := range map[string]string{"": "forbidden", "s1": "", "s2": "forbidden", "s3": ""} {
			_, err := as(session).TryConnect(nil)
			var e *actor.Error
			if errors.As(err, &e) != (want != "") || e != nil && e.Code != want {
				t.Errorf("session %q connects: got %v, want %q", session, err, want)
			}
		}
		if err := as("s1").Fail("invite", "bob"); err.Code != "forbidden" {
			t.Errorf("a member invites: got %v", err)
		}
		conn := as("s1").Connect(nil)
		actortest.Call[any](conn, "say", "hello")
		time.Sleep(time.Hour)
		if why, closed := conn.Closed(); !closed || why != "identity" {
			t.Errorf("at the end of the session: got %q, %v", why, closed)
		}
		conn.Resume()
		actortest.Call[any](conn, "say", "still here")
	})
}

func TestSignOut(t *testing.T) {
	srv, err := server.New(clubs, server.Options{Store: memory.New(memory.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Close(t.Context()) }()
	r := httptest.NewRequest(http.MethodPost, "/sign-out", nil)
	r.Header.Set("Cookie", "session=s1")
	w := httptest.NewRecorder()
	if signOut(srv).ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w = httptest.NewRecorder()
	if signOut(srv).ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("from another site: got %d", w.Code)
	}
}
