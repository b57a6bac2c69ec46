package rooms

import (
	"sync/atomic"
	"time"

	"github.com/gorilla/securecookie"
)

// Session is what the server knows of a visitor. It is in a cookie of theirs, signed,
// so that they can neither make nor change one; an app with accounts would have the
// account's id in it.
type Session struct {
	Subscription Subscription `json:"subscription"`
}

// SessionCookie is the name of the cookie.
const SessionCookie = "session"

// SessionAge is how long a session lasts.
const SessionAge = 30 * 24 * time.Hour

// passAge is how long a pass may take from the page to the actor.
const passAge = time.Minute

// A session is signed in two forms, which cannot be taken for one another: as the
// cookie, and as a pass, which a page sends with the params of its connections. A
// WebSocket has the cookies with which it was opened, so one that a page got since
// is unknown there; with a pass it is not.
type signer struct{ cookie, pass *securecookie.SecureCookie }

var signing atomic.Pointer[signer]

// SetSessionKey sets the secret that signs sessions, of 32 bytes or more. Before that
// there are none.
func SetSessionKey(key []byte) {
	of := func(age time.Duration) *securecookie.SecureCookie {
		return securecookie.New(key, nil).SetSerializer(securecookie.JSONEncoder{}).MaxAge(int(age / time.Second))
	}
	signing.Store(&signer{of(SessionAge), of(passAge)})
}

// Sign returns the session as the value of the cookie, and as a pass.
func (s Session) Sign() (cookie, pass string, err error) {
	by := signing.Load()
	if cookie, err = by.cookie.Encode(SessionCookie, s); err != nil {
		return "", "", err
	}
	pass, err = by.pass.Encode("pass", s)
	return cookie, pass, err
}

// sessionOf returns the session that a pass or a cookie stands for. That of nobody,
// if neither is good: signed by somebody else, changed, or too old.
func sessionOf(pass, cookie string) Session {
	var s Session
	by := signing.Load()
	if by == nil || by.pass.Decode("pass", pass, &s) != nil && by.cookie.Decode(SessionCookie, cookie, &s) != nil {
		return Session{SubscriptionFree}
	}
	return s
}
