package app

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/rooms"
)

// minSessionKey is how long the key that signs sessions is at least, in bytes.
const minSessionKey = 32

// sessionKey returns the key that signs sessions: the one of the configuration, else
// that in the data directory, which is made if it is not there. A server that keeps
// no files makes one for itself.
func sessionKey(config Config) ([]byte, error) {
	if config.SessionKey != "" {
		return []byte(config.SessionKey), nil
	}
	made := []byte(rand.Text() + rand.Text())
	if config.Store == storeMemory {
		return made, nil
	}
	path := filepath.Join(config.Data, "session.key")
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) < minSessionKey:
		return nil, fmt.Errorf("%s has less than %d bytes: delete it to have another one made, which ends all sessions", path, minSessionKey)
	case errors.Is(err, fs.ErrNotExist):
		return made, writeKey(path, made)
	}
	return key, err
}

// writeKey writes a file that appears whole, or not at all, and is for nobody else.
func writeKey(path string, key []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "session.key-") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// serveSession is POST /api/session {"subscription":"premium"}: it makes the visitor's
// session one with that subscription, or with "free". The answer has a pass, with
// which the page can tell its open connections of it (see rooms.Session). The cookie
// is for what is below path. Pages of other origins do not get here.
//
// This is where an app would ask for a password, or for money.
func serveSession(path string, logger *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// Not every ResponseWriter can; a server's can.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Second))
		var s rooms.Session
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
		if err == nil {
			err = json.Unmarshal(body, &s)
		}
		if err != nil || s.Subscription != rooms.SubscriptionFree && s.Subscription != rooms.SubscriptionPremium {
			answer(w, http.StatusBadRequest, map[string]string{"code": "malformed", "message": `want {"subscription":"free"} or {"subscription":"premium"}`})
			return
		}
		cookie, pass, err := s.Sign()
		if err != nil {
			logger.Error("a session cannot be signed", "error", err)
			answer(w, http.StatusInternalServerError, map[string]string{"code": "internal_error", "message": "the server failed; its log has the cause"})
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: rooms.SessionCookie, Value: cookie, Path: path, MaxAge: int(rooms.SessionAge / time.Second),
			HttpOnly: true, SameSite: http.SameSiteLaxMode,
			// The page's origin tells also where a proxy that is not known has ended TLS.
			Secure: forwarded.Secure(r) || strings.HasPrefix(r.Header.Get("Origin"), "https://"),
		})
		answer(w, http.StatusOK, map[string]any{"subscription": s.Subscription, "pass": pass})
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error means that the client is gone
}
