package rooms

import (
	"sync/atomic"
	"time"

	"github.com/gorilla/securecookie"
)

// Session is a visitor's session. It lives in a signed cookie, so that visitors can
// neither make nor change one. An app with accounts would store the account's id in it.
type Session struct {
	Subscription Subscription `json:"subscription"`
}

// SessionCookie is the name of the cookie.
const SessionCookie = "session"

// SessionAge is how long a session lasts.
const SessionAge = 30 * 24 * time.Hour

// passAge is how long a pass is valid.
const passAge = time.Minute

// signer signs sessions in two forms that cannot replace each other: as the cookie, and
// as a pass, which a page sends with the params of its connections. A WebSocket has the
// cookies of the moment it was opened, so a newer session reaches it only by a pass.
type signer struct{ cookie, pass *securecookie.SecureCookie }

var signing atomic.Pointer[signer]

// SetSessionKey sets the secret that signs sessions, of 32 bytes or more. Until then,
// no request has a session.
func SetSessionKey(key []byte) {
	of := func(age time.Duration) *securecookie.SecureCookie {
		return securecookie.New(key, nil).SetSerializer(securecookie.JSONEncoder{}).MaxAge(int(age / time.Second))
	}
	signing.Store(&signer{of(SessionAge), of(passAge)})
}

// Sign returns the session as the cookie's value and as a pass.
func (s Session) Sign() (cookie, pass string, err error) {
	by := signing.Load()
	if cookie, err = by.cookie.Encode(SessionCookie, s); err != nil {
		return "", "", err
	}
	pass, err = by.pass.Encode("pass", s)
	return cookie, pass, err
}

// sessionOf returns the session of a valid pass or cookie. If neither is valid (another
// key, changed, too old), it is a free one.
func sessionOf(pass, cookie string) Session {
	var s Session
	by := signing.Load()
	if by == nil || by.pass.Decode("pass", pass, &s) != nil && by.cookie.Decode(SessionCookie, cookie, &s) != nil {
		return Session{SubscriptionFree}
	}
	return s
}
