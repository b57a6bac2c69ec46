package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/app"
)

// request makes a request with header fields (pairs of name and value).
func request(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestSession(t *testing.T) {
	data := t.TempDir()
	s := start(t, "-data", data)
	const premium = `{"subscription":"premium"}`

	resp, body := request(t, "POST", s.url+"/api/session", premium, "Origin", s.url)
	if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %s %s", resp.Status, body)
	}
	c := resp.Cookies()[0]
	if c.Name != "session" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" || c.MaxAge != 30*24*3600 {
		t.Errorf("got %+v", c)
	}
	var answer struct{ Pass string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Pass == "" || answer.Pass == c.Value {
		t.Errorf("got %s, %v", body, err)
	}

	// read returns the articles that a visitor with the cookie may read.
	read := func(url, cookie string) string {
		t.Helper()
		_, got := request(t, "POST", url+"/api/actors/newsRoom/actions/getArticles?key=daily", ``, "Cookie", "session="+cookie)
		return got
	}
	if _, got := request(t, "POST", s.url+"/api/actors/newsRoom/actions/publishArticle?key=daily", `{"args":[{"category":"","content":"secret","level":"premium"}]}`); !strings.Contains(got, "secret") {
		t.Fatalf("got %s", got)
	}
	for cookie, may := range map[string]bool{
		c.Value:                           true,
		"":                                false,
		answer.Pass:                       false, // a pass is not a cookie
		c.Value[:len(c.Value)-4] + "AAA=": false,
		"x" + c.Value[1:]:                 false,
		premium:                           false,
	} {
		if got := read(s.url, cookie); strings.Contains(got, "secret") != may {
			t.Errorf("cookie %q: got %s", cookie, got)
		}
	}

	// The key is in the store, not in a file.
	if _, err := os.Stat(filepath.Join(data, "session.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no session.key", err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s = start(t, "-data", data)
	if got := read(s.url, c.Value); !strings.Contains(got, "secret") {
		t.Errorf("after a restart: got %s", got)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s = start(t, "-data", data, "-session-key", strings.Repeat("another ", 4))
	if got := read(s.url, c.Value); strings.Contains(got, "secret") {
		t.Errorf("with another key: got %s", got)
	}
}

// The key of a store of format 3 is in a file. It moves into the store, and the file is no
// longer read.
func TestSession_keyFile(t *testing.T) {
	data := t.TempDir()
	file := filepath.Join(data, "session.key")
	write := func(key string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("short")
	if err := app.Run(t.Context(), []string{"-data", data, "-addr", "127.0.0.1:0"}, nil, noUI, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), file+" has less than 32 bytes") {
		t.Fatalf("a short key: got %v", err)
	}
	cookie := func(key string) string {
		t.Helper()
		write(key)
		s := start(t, "-data", data)
		defer func() {
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		}()
		resp, body := request(t, "POST", s.url+"/api/session", `{"subscription":"premium"}`, "Origin", s.url)
		if resp.StatusCode != 200 {
			t.Fatalf("got %s %s", resp.Status, body)
		}
		return resp.Cookies()[0].Value
	}
	first := cookie(strings.Repeat("first ", 8))
	cookie(strings.Repeat("second ", 8))
	s := start(t, "-data", data, "-session-key", strings.Repeat("first ", 8))
	if _, got := request(t, "POST", s.url+"/api/actors/newsRoom/actions/publishArticle?key=daily", `{"args":[{"category":"","content":"secret","level":"premium"}]}`); !strings.Contains(got, "secret") {
		t.Fatalf("got %s", got)
	}
	for range 2 { // the key of the file, then that of the store
		if _, got := request(t, "POST", s.url+"/api/actors/newsRoom/actions/getArticles?key=daily", ``, "Cookie", "session="+first); !strings.Contains(got, "secret") {
			t.Errorf("got %s, want that the first key signs", got)
		}
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		s = start(t, "-data", data)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil { // cannot be read
		t.Fatal(err)
	}
	if err := start(t, "-data", data).stop(); err != nil {
		t.Fatal(err)
	}
}

// A key file that others may read is used, with a warning.
func TestSession_readableKeyFile(t *testing.T) {
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o644: true, 0o640: true, 0o602: true} {
		data := t.TempDir()
		file := filepath.Join(data, "session.key")
		if err := os.WriteFile(file, []byte(strings.Repeat("k", 40)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		s := start(t, "-data", data)
		if log := s.stderr.String(); strings.Contains(log, "may read the key") != warns || strings.Contains(log, "kkk") {
			t.Errorf("mode %o: got %s, want a warning: %v", mode, log, warns)
		}
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSession_refused(t *testing.T) {
	s := start(t, "-store", "memory", "-base-path", "/app", "-hosts", "news.example")
	for _, test := range []struct {
		method, body string
		header       []string
		status       int
	}{
		{"POST", `{"subscription":"premium"}`, []string{"Origin", "https://evil.example"}, 403},
		{"POST", `{"subscription":"premium"}`, []string{"Origin", "null"}, 403},
		{"POST", `{"subscription":"gold"}`, nil, 400},
		{"POST", `{`, nil, 400},
		{"POST", `{"subscription":"` + strings.Repeat("x", 2000) + `"}`, nil, 400},
	} {
		resp, body := request(t, test.method, s.url+"/api/session", test.body, test.header...)
		if resp.StatusCode != test.status || len(resp.Cookies()) > 0 {
			t.Errorf("%+v: got %s %s", test, resp.Status, body)
		}
	}
	// Behind a proxy that ends TLS the cookie is for HTTPS only.
	r, err := http.NewRequest("POST", s.url+"/api/session", strings.NewReader(`{"subscription":"premium"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "news.example"
	r.Header.Set("Origin", "https://news.example")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if c := resp.Cookies(); len(c) != 1 || !c[0].Secure || c[0].Path != "/app/" {
		t.Errorf("got %s %v, want a secure cookie for /app/", resp.Status, c)
	}
}
