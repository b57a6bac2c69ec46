package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

	// The key is kept in a file that only its owner can read.
	file := filepath.Join(data, "session.key")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || info.Size() < 32 {
		t.Errorf("got %v, %v", info, err)
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

func TestSession_refused(t *testing.T) {
	s := start(t, "-store", "memory", "-base-path", "/app")
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
