package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

func TestNotes_areForTheirOwner(t *testing.T) {
	actortest.Run(t, registry, func(n *actortest.Node) {
		notes := n.Actor("notes", "ada")
		ada, grace := startSession("ada"), startSession("grace")
		over := startSession("ada")
		endSession(over)

		for token, want := range map[string]string{ada: "", grace: "forbidden", over: "unauthorized", "": "unauthorized"} {
			_, err := notes.WithHeader("Cookie", sessionCookie+"="+token).TryConnect(nil)
			var e *actor.Error
			if errors.As(err, &e) != (want != "") || e != nil && e.Code != want {
				t.Errorf("session %q: got %v, want %q", token, err, want)
			}
		}
		// The same guard is at every door.
		if err := notes.As(User{"grace"}).Fail("add", "was here"); err.Code != "forbidden" {
			t.Errorf("got %v, want forbidden", err)
		}
		actortest.Call[any](notes.As(User{"ada"}), "add", "hello")
		got := actortest.Events[Listed](notes.As(User{"ada"}).Connect(nil))
		if len(got) != 1 || !slices.Equal(got[0].Texts, []string{"hello"}) {
			t.Errorf("got %v, want one list with hello", got)
		}
	})
}

func TestSignIn(t *testing.T) {
	for password, want := range map[string]int{"lovelace": http.StatusSeeOther, "guess": http.StatusUnauthorized, "": http.StatusUnauthorized} {
		form := url.Values{"user": {"ada"}, "password": {password}}
		r := httptest.NewRequest(http.MethodPost, "/sign-in", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		signIn(w, r)
		if w.Code != want {
			t.Errorf("password %q: got %d, want %d", password, w.Code, want)
		}
		user := ""
		for _, c := range w.Result().Cookies() {
			user = userOf(c.Value)
		}
		if signedIn := want == http.StatusSeeOther; (user == "ada") != signedIn {
			t.Errorf("password %q: got a session of %q", password, user)
		}
	}
}
