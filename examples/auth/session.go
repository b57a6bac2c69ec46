package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	sessionCookie = "session"
	sessionAge    = 24 * time.Hour
)

// passwords are those of the users. A real app has hashes of them in a database, and
// limits how often one may try.
var passwords = map[string]string{"ada": "lovelace", "grace": "hopper"}

// sessions are in memory: a restart of the server signs everyone out.
var sessions = struct {
	sync.Mutex
	byToken map[string]session
}{byToken: map[string]session{}}

type session struct {
	user string
	ends time.Time
}

// startSession returns the token of a new session.
func startSession(user string) string {
	sessions.Lock()
	defer sessions.Unlock()
	for token, s := range sessions.byToken {
		if time.Now().After(s.ends) {
			delete(sessions.byToken, token)
		}
	}
	token := rand.Text()
	sessions.byToken[token] = session{user, time.Now().Add(sessionAge)}
	return token
}

// userOf returns the user of a session, "" if there is none.
func userOf(token string) string {
	sessions.Lock()
	defer sessions.Unlock()
	s := sessions.byToken[token]
	if time.Now().After(s.ends) {
		return ""
	}
	return s.user
}

func endSession(token string) {
	sessions.Lock()
	defer sessions.Unlock()
	delete(sessions.byToken, token)
}

// signIn is POST /sign-in with the fields user and password of a form.
func signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	user := r.PostFormValue("user")
	password, known := passwords[user]
	if !known || subtle.ConstantTimeCompare([]byte(r.PostFormValue("password")), []byte(password)) == 0 {
		http.Error(w, "wrong user or password", http.StatusUnauthorized)
		return
	}
	setCookie(w, startSession(user), int(sessionAge/time.Second))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// signOut is POST /sign-out. Connections that are open keep their identity until they
// resume or refresh; the page that signs out ends its own.
func signOut(w http.ResponseWriter, r *http.Request) {
	endSession(token(r))
	setCookie(w, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// whoAmI is GET /session: the user's name as JSON, "" for nobody.
func whoAmI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(userOf(token(r))) // an error means that the client is gone
}

func token(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie sets the session's cookie. It is Secure, for HTTPS only: Chromium and Firefox
// take it from http://localhost, too, Safari does not.
func setCookie(w http.ResponseWriter, token string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode,
	})
}
