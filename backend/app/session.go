package app

import (
	"context"
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
	"github.com/troupe-dev/troupe/backend/server"
)

// minSessionKey is the minimum length of the key that signs sessions, in bytes.
const minSessionKey = 32

// keySecret is the name of the key that signs sessions, among the store's secrets.
const keySecret = "session.key"

// sessionKey returns the key that signs sessions: the configured one, else the one in
// the store, which is made if it does not exist. A store of format 3 had it in a file: that
// is read once, and then kept for the case that you go back to the old version. If others
// may read it, there is a warning.
func sessionKey(ctx context.Context, config Config, srv *server.Server, logger *slog.Logger) ([]byte, error) {
	if config.SessionKey != "" {
		return []byte(config.SessionKey), nil
	}
	path := keyFile(config)
	var failed error
	key, err := srv.Secret(ctx, keySecret, func() []byte {
		old, err := []byte(nil), fs.ErrNotExist
		if config.Store != storeMemory {
			old, err = os.ReadFile(path)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && len(old) == 0:
			return []byte(rand.Text() + rand.Text())
		case err != nil:
			failed = err
			return nil
		case len(old) < minSessionKey:
			failed = fmt.Errorf("%s has less than %d bytes: delete it to get a new key, which ends all sessions", path, minSessionKey)
			return nil
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			logger.Warn("other users of this machine may read the key that signs sessions; if they have, delete the file and start with a new -session-key, which ends all sessions", "file", path, "mode", info.Mode().Perm())
		}
		logger.Info("the key that signs sessions moves into the store; its file is no longer read, keep it only to go back to an older version", "file", path)
		return old
	})
	if failed != nil {
		return nil, failed
	}
	return key, err
}

// keyFile is where the key that signs sessions was in format 3.
func keyFile(config Config) string { return filepath.Join(config.Data, "session.key") }

// serveSession is POST /api/session {"subscription":"premium"}: it gives the visitor a
// session with that subscription, or with "free". The response has a pass for the page's
// open connections (see rooms.Session). The cookie is valid below path. Pages of other
// origins cannot call it.
//
// A real app would check a password, or a payment, here.
func serveSession(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			answer(w, http.StatusMethodNotAllowed, map[string]string{"code": "malformed", "message": "use POST"})
			return
		}
		// The error means that the ResponseWriter has no deadlines; a server's has.
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
		cookie, pass := s.Sign()
		http.SetCookie(w, &http.Cookie{
			Name: rooms.SessionCookie, Value: cookie, Path: path, MaxAge: int(rooms.SessionAge / time.Second),
			HttpOnly: true, SameSite: http.SameSiteLaxMode,
			// The page's origin shows TLS even behind a proxy that is not trusted.
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
