package rooms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync/atomic"
	"time"
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

// sessionKey signs sessions; nil until SetSessionKey.
var sessionKey atomic.Pointer[[]byte]

// SetSessionKey sets the secret that signs sessions, of 32 bytes or more. Until then,
// no request has a session.
func SetSessionKey(key []byte) { sessionKey.Store(&key) }

// signed is what the text of a session has in it.
type signed struct {
	Session Session `json:"s"`
	Ends    int64   `json:"e"` // Unix seconds
}

// Sign returns the session as the cookie's value and as a pass: two forms that cannot
// replace each other. A page sends a pass with the params of its connections. A WebSocket has
// the cookies of the moment it was opened, so a newer session reaches it only by a pass.
// Sign panics before SetSessionKey.
func (s Session) Sign() (cookie, pass string) {
	key, now := *sessionKey.Load(), time.Now()
	return sign(key, SessionCookie, signed{s, now.Add(SessionAge).Unix()}), sign(key, "pass", signed{s, now.Add(passAge).Unix()})
}

// sessionOf returns the session of a valid pass or cookie. If neither is valid (another
// key, changed, too old), it is a free one.
func sessionOf(pass, cookie string) Session {
	if key := sessionKey.Load(); key != nil {
		if s, ok := verify(*key, "pass", pass); ok {
			return s
		}
		if s, ok := verify(*key, SessionCookie, cookie); ok {
			return s
		}
	}
	return Session{SubscriptionFree}
}

// sign returns v as text with a signature, for one form.
func sign(key []byte, form string, v signed) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("rooms: encode a session: " + err.Error()) // strings and numbers always encode
	}
	payload := base64.RawURLEncoding.EncodeToString(text)
	return payload + "." + base64.RawURLEncoding.EncodeToString(mac(key, form, payload))
}

// verify returns the session in a text of sign, if the signature is right and it has not ended.
func verify(key []byte, form, text string) (Session, bool) {
	payload, signature, _ := strings.Cut(text, ".")
	got, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || !hmac.Equal(got, mac(key, form, payload)) {
		return Session{}, false
	}
	var v signed
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(raw, &v) != nil || time.Now().Unix() >= v.Ends {
		return Session{}, false
	}
	return v.Session, true
}

func mac(key []byte, form, payload string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(form + "\x00" + payload))
	return h.Sum(nil)
}
