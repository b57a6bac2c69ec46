package inspect_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/inspect"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// TestAccess tries what a stranger would: nothing but the token, and the cookie that it is
// exchanged for, lets anyone in, and only from the inspector's own page.
func TestAccess(t *testing.T) {
	e := newEnv(t, true)
	e.sell("a", "tea", 1)
	without := func(r *http.Request) { r.Header.Del("Authorization") }
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}

	enter := e.request("GET", "/?token="+token, "", without)
	cookie := enter.Result().Cookies()[0]
	if enter.Code != http.StatusSeeOther || enter.Header().Get("Location") != "/inspect/" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode ||
		cookie.Path != "/inspect" || cookie.Value == token || cookie.Name != "troupe_inspect_6060" {
		t.Errorf("the link: got %d to %s with %+v", enter.Code, enter.Header().Get("Location"), cookie)
	}
	with := func(r *http.Request) { r.Header.Del("Authorization"); r.AddCookie(cookie) }

	// Another process: its cookies and tokens are others.
	restarted := inspect.New(inspect.Options{Node: runtime.Inspect(e.node), Gateway: gateway{}})
	defer restarted.Close()
	plus := inspect.New(inspect.Options{Node: runtime.Inspect(e.node), Gateway: gateway{}, Token: "a+b/c="})
	defer plus.Close()
	if got := plus.Link("http://x"); got != "http://x/inspect/?token=a%2Bb%2Fc%3D" {
		t.Errorf("got the link %s", got)
	}
	_, old, _ := strings.Cut(restarted.Link(""), "token=")

	reset := "/api/actors/" + idOf("a") + "/reset"
	for name, test := range map[string]struct {
		method, path string
		change       []func(*http.Request)
		want         int
	}{
		"the cookie":                     {"GET", "/", []func(*http.Request){with}, 200},
		"the cookie, API":                {"GET", "/api/actors", []func(*http.Request){with}, 200},
		"the cookie, post":               {"POST", reset, []func(*http.Request){with}, 200},
		"nothing":                        {"GET", "/", []func(*http.Request){without}, 401},
		"nothing, API":                   {"GET", "/api/actors", []func(*http.Request){without}, 401},
		"nothing, no such address":       {"GET", "/api/x", []func(*http.Request){without}, 401},
		"nothing, stream":                {"GET", "/api/stream?view=overview", []func(*http.Request){without}, 401},
		"nothing, post":                  {"POST", reset, []func(*http.Request){without}, 401},
		"a wrong token":                  {"GET", "/?token=x", []func(*http.Request){without}, 401},
		"the token of another process":   {"GET", "/?token=" + old, []func(*http.Request){without}, 401},
		"the token for the API":          {"GET", "/api/actors?token=" + token, []func(*http.Request){without}, 401},
		"a wrong bearer":                 {"GET", "/api/actors", []func(*http.Request){set("Authorization", "Bearer x")}, 401},
		"an empty bearer":                {"GET", "/api/actors", []func(*http.Request){set("Authorization", "Bearer ")}, 401},
		"basic":                          {"GET", "/api/actors", []func(*http.Request){set("Authorization", token)}, 401},
		"a cookie with the token":        {"GET", "/", []func(*http.Request){without, set("Cookie", cookie.Name+"="+token)}, 401},
		"a cookie of another port":       {"GET", "/", []func(*http.Request){without, set("Cookie", "troupe_inspect_1="+cookie.Value)}, 401},
		"another host":                   {"GET", "/api/actors", []func(*http.Request){func(r *http.Request) { r.Host = "evil.example:6060" }}, 421},
		"another host, the link":         {"GET", "/?token=" + token, []func(*http.Request){func(r *http.Request) { r.Host = "evil.example" }}, 421},
		"an address":                     {"GET", "/api/actors", []func(*http.Request){func(r *http.Request) { r.Host = "127.0.0.1:6060" }}, 200},
		"the own origin":                 {"POST", reset, []func(*http.Request){with, set("Origin", "http://localhost:6060"), set("Sec-Fetch-Site", "same-origin")}, 200},
		"another origin":                 {"POST", reset, []func(*http.Request){with, set("Origin", "https://evil.example")}, 403},
		"another port":                   {"POST", reset, []func(*http.Request){with, set("Origin", "http://localhost:3000"), set("Sec-Fetch-Site", "same-site")}, 403},
		"another port, without Origin":   {"GET", "/api/actors", []func(*http.Request){with, set("Sec-Fetch-Site", "same-site")}, 403},
		"another site":                   {"GET", "/api/actors", []func(*http.Request){with, set("Sec-Fetch-Site", "cross-site")}, 403},
		"a sandboxed page":               {"POST", reset, []func(*http.Request){with, set("Origin", "null")}, 403},
		"a form":                         {"POST", reset, []func(*http.Request){with, set("Content-Type", "application/x-www-form-urlencoded")}, 415},
		"a form that pretends":           {"POST", reset, []func(*http.Request){with, set("Content-Type", "text/plain")}, 415},
		"no type":                        {"POST", reset, []func(*http.Request){with, set("Content-Type", "")}, 415},
		"a write by GET":                 {"GET", reset, []func(*http.Request){with}, 405},
		"a path out of the page's files": {"GET", "/assets/..%2finspect.go", []func(*http.Request){with}, 404},
	} {
		if got := e.request(test.method, test.path, "{}", test.change...); got.Code != test.want {
			t.Errorf("%s: got %d %s, want %d", name, got.Code, got.Body, test.want)
		}
	}

	h := e.request("GET", "/", "", with).Header()
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if !strings.HasPrefix(h.Get(name), want) {
			t.Errorf("%s: got %q", name, h.Get(name))
		}
	}
}

// TestAccess_readOnly: an inspector that only looks changes nothing.
func TestAccess_readOnly(t *testing.T) {
	e := newEnv(t, false)
	e.sell("a", "tea", 1)
	for path, body := range map[string]string{
		"call": `{"action":"sell","args":["x",1]}`, "disconnect": `{"conn":"x"}`, "reset": `{}`, "state": `{"rev":1,"state":{}}`,
		"destroy": `{"key":["a"]}`, "messages/1": `{"change":"run"}`,
	} {
		if w := e.request("POST", "/api/actors/"+idOf("a")+"/"+path, body); w.Code != http.StatusForbidden {
			t.Errorf("%s: got %d %s", path, w.Code, w.Body)
		}
	}
	var a struct {
		Rev uint64 `json:"rev"`
	}
	if e.get("/api/actors/"+idOf("a"), &a); a.Rev != 1 {
		t.Errorf("got revision %d, want 1", a.Rev)
	}
}
