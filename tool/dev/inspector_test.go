package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestInspector_enter: only this machine gets the token.
func TestInspector_enter(t *testing.T) {
	for peer, want := range map[string]int{
		"127.0.0.1:1": http.StatusSeeOther, "[::1]:1": http.StatusSeeOther, "[::ffff:127.0.0.1]:1": http.StatusSeeOther,
		"192.0.2.7:1": http.StatusForbidden, "[2001:db8::1]:1": http.StatusForbidden, "": http.StatusForbidden,
	} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost"+enterPath, nil)
		r.RemoteAddr = peer
		w := httptest.NewRecorder()
		inspector{token: "hush"}.enter(w, r)
		if w.Code != want || w.Code != http.StatusSeeOther && w.Header().Get("Location") != "" {
			t.Errorf("%s: got %d to %q, want %d", peer, w.Code, w.Header().Get("Location"), want)
		}
	}
}
