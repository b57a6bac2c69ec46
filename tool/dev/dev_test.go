package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tiny makes the smallest project: its server answers with a text of its source.
func tiny(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, map[string]string{
		"go.mod":                              "module tiny\n\ngo 1.26\n",
		"main.go":                             tinyServer("one"),
		"web/web.go":                          "package web\n",
		"backend/backend.go":                  "package backend\n",
		"package.json":                        "{}",
		"node_modules/react/package.json":     "{}",
		"node_modules/react-dom/package.json": "{}",
		"node_modules/.bin/tsc":               "#!/bin/sh\nif grep -rn WRONG web/src; then exit 1; fi\n",
		"clientjs/src/index.ts":               "export {}",
		"hooks/src/index.ts":                  "export {}",
		"web/src/main.tsx":                    "console.log('one')",
		"web/src/main.css":                    "body { color: red }",
		"web/src/theme.ts":                    "",
		"web/src/docs/main.ts":                "",
		"web/src/icon.svg":                    "<svg/>",
		"web/src/icons/touch.png":             "",
		"web/src/icons/app.png":               "",
		"web/src/icons/favicon.ico":           "",
		"web/src/icons/social.png":            "",
	})
	if err := os.Chmod(filepath.Join(root, "node_modules/.bin/tsc"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

func tinyServer(says string) string {
	return fmt.Sprintf(`package main

import ("fmt"; "net"; "net/http"; "os")

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-version" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("Tiny is at http://" + l.Addr().String())
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html><head></head></html>")
			return
		}
		fmt.Fprintf(w, "%%s at %%s", %q, r.Host)
	}))
}
`, says)
}

// develop runs the dev server for a project, and returns its address and states.
func develop(t *testing.T, root string) (url string, states func(want string, is func(s state) bool)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	at, ended := make(chan string, 1), make(chan error, 1)
	say := func(format string, args ...any) {
		if line := fmt.Sprintf(format, args...); strings.HasPrefix(line, "the app is at ") {
			at <- strings.Fields(line)[4]
		}
	}
	go func() { ended <- run(ctx, root, "127.0.0.1:0", "", nil, say) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the end: %v", err)
		}
	})
	select {
	case url = <-at:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	events, err := http.Get(url + eventsPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { events.Body.Close() })
	lines := bufio.NewScanner(events.Body)
	return url, func(want string, is func(state) bool) {
		t.Helper()
		var s state
		for lines.Scan() {
			data, found := strings.CutPrefix(lines.Text(), "data: ")
			if !found {
				continue
			}
			s = state{}
			if err := json.Unmarshal([]byte(data), &s); err != nil {
				t.Fatal(err)
			}
			if is(s) {
				return
			}
		}
		t.Fatalf("%s: never came; the last state was %+v", want, s)
	}
}

// Dev answers for its own names only: a page of another site may be led to its address.
func TestHostsOf(t *testing.T) {
	for addr, want := range map[string][]string{
		"localhost:8080": {"localhost"}, "127.0.0.1:0": nil, ":8080": nil, "[::1]:1": nil, "mybox:8080": {"mybox"},
	} {
		if got, err := hostsOf(addr, ""); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v, want %q", addr, got, err, want)
		}
	}
	if got, err := hostsOf("mybox:80", "a.example, b.example"); err != nil || !slices.Equal(got, []string{"a.example", "b.example", "mybox"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// kill asks for the end of the server, as a page of an origin.
func kill(t *testing.T, url, origin string, want int) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url+killPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", origin)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != want {
		t.Errorf("kill from %s: got %s, want %d", origin, answer.Status, want)
	}
}

func TestDev(t *testing.T) {
	root := tiny(t)
	url, until := develop(t, root)
	for _, path := range []string{"/", "/assets/main.js", eventsPath, "/api/x"} {
		r, err := http.NewRequest(http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "evil.example"
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Body.Close(); answer.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s for another host: got %s, want 421", path, answer.Status)
		}
	}
	host := strings.TrimPrefix(url, "http://")
	var now state
	running := func(n int) func(state) bool {
		return func(s state) bool {
			now = s
			return s.Server == n && len(s.Problems) == 0
		}
	}
	problem := func(from, text string) func(state) bool {
		return func(s state) bool {
			return len(s.Problems) == 1 && s.Problems[0].From == from && strings.Contains(s.Problems[0].Text, text)
		}
	}
	fixed := func(s state) bool {
		now = s
		return len(s.Problems) == 0
	}

	// A request before the first server runs waits for it.
	if got, want := get(t, url+"/api"), "one at "+host; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	until("the first server", running(1))
	first := now
	if got, want := get(t, url+"/"), fmt.Sprintf(`<head><script src="/__dev/client.js" data-script=%q`, first.Script); !strings.Contains(got, want) {
		t.Errorf("the page is %s, want it to have %s", got, want)
	}
	if got := get(t, url+clientPath); got != string(client) {
		t.Errorf("the script in the page is %q", got)
	}

	write(t, root, map[string]string{"main.go": tinyServer("two")})
	until("the second server", running(2))
	if got := get(t, url+"/api"); !strings.HasPrefix(got, "two") {
		t.Errorf("got %q, want the second server", got)
	}
	if now.Script != first.Script {
		t.Error("a new server with the same page makes pages reload")
	}

	write(t, root, map[string]string{"main.go": "package main; func main() { nobody() }"})
	until("an error of the compiler", problem(fromGo, "undefined: nobody"))
	if got := get(t, url+"/api"); !strings.HasPrefix(got, "two") {
		t.Errorf("got %q, want the previous server", got)
	}
	write(t, root, map[string]string{"main.go": strings.Replace(tinyServer("three"), "func main() {", `func main() { panic("at once")`+"\n", 1)})
	until("a server that cannot start", problem(fromGo, "at once"))
	if got := get(t, url+"/api"); !strings.HasPrefix(got, "two") {
		t.Errorf("got %q, want the previous server", got)
	}
	write(t, root, map[string]string{"main.go": tinyServer("two")})
	until("the fixed one", fixed)

	servers := now.Server
	kill(t, url, "https://elsewhere.example", http.StatusForbidden)
	kill(t, url, url, http.StatusNoContent)
	if got := get(t, url+"/api"); !strings.HasPrefix(got, "two") {
		t.Errorf("got %q, want the server that runs after the one that was killed", got)
	}
	until("the next server", running(servers+1))

	write(t, root, map[string]string{"web/src/main.tsx": "import './main.css'"})
	until("a new script", func(s state) bool { now = s; return s.Script != first.Script })
	second := now
	write(t, root, map[string]string{"web/src/main.css": "body { color: blue }"})
	until("a new style", func(s state) bool { now = s; return s.Style != second.Style })
	if now.Script != second.Script {
		t.Error("a new style makes pages reload")
	}
	if got := get(t, url+"/assets/main.css"); !strings.Contains(got, "blue") {
		t.Errorf("got %q, want the saved style", got)
	}

	write(t, root, map[string]string{"web/src/main.tsx": "const = 1"})
	until("an error of esbuild", problem(fromPage, "web/src/main.tsx:1"))
	write(t, root, map[string]string{"web/src/main.tsx": "console.log('WRONG')"})
	until("an error of the type checker", problem(fromTypes, "web/src/main.tsx:1"))
	write(t, root, map[string]string{"web/src/main.tsx": "console.log('right')"})
	until("the fixed one", fixed)
}

// A page with new types is served only once the server that has them runs.
func TestTypesWaitForTheServer(t *testing.T) {
	root := tiny(t)
	write(t, root, map[string]string{
		"backend/backend.go":      "package backend\n\n//go:generate cp types.ts ../web/src/registry.gen.ts\n",
		"backend/types.ts":        "export const types = 1",
		"web/src/registry.gen.ts": "export const types = 1",
		"web/src/main.tsx":        "import { types } from './registry.gen'; console.log(types)",
	})
	url, until := develop(t, root)
	var first, second state
	until("the first server", func(s state) bool { first = s; return s.Server == 1 })
	write(t, root, map[string]string{"backend/types.ts": "export const types = 2", "main.go": tinyServer("two")})
	until("the page with the new types", func(s state) bool {
		second = s
		return s.Script != first.Script
	})
	if second.Server != 2 {
		t.Errorf("the page came with server %d, want it with the second", second.Server)
	}
	if got := get(t, url+"/assets/main.js"); !strings.Contains(got, "2") {
		t.Errorf("the page is %s", got)
	}
	// If no server is being built, there is nothing to wait for.
	write(t, root, map[string]string{"web/src/registry.gen.ts": "export const types = 3"})
	until("the page with types generated by hand", func(s state) bool { return s.Script != second.Script })
}

// The type checker never sees the types of an older server beside the page of a new one,
// nor types that are half written.
func TestTypesAreCheckedAfterGeneration(t *testing.T) {
	root, work := tiny(t), t.TempDir()
	began, mayEnd := filepath.Join(work, "began"), filepath.Join(work, "mayEnd")
	if output, err := command(t.Context(), work, "mkfifo", began, mayEnd); err != nil {
		t.Fatal(output, err)
	}
	// duringGeneration calls do while the types are half written.
	duringGeneration := func(do func()) {
		t.Helper()
		if _, err := os.ReadFile(began); err != nil { // waits for the writer
			t.Fatal(err)
		}
		do()
		if err := os.WriteFile(mayEnd, []byte("now"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, root, map[string]string{
		"backend/backend.go": fmt.Sprintf("package backend\n\n//go:generate sh -c %q\n", fmt.Sprintf(
			"echo half > ../web/src/registry.gen.ts; echo > %s; cat %s > /dev/null; cp types.ts ../web/src/registry.gen.ts", began, mayEnd)),
		"backend/types.ts":        "export const types = 1",
		"web/src/registry.gen.ts": "export const types = 1",
		"node_modules/.bin/tsc":   "#!/bin/sh\nif grep -q WRONG web/src/main.tsx; then cat web/src/registry.gen.ts; exit 1; fi\n",
	})
	_, until := develop(t, root)
	var now state
	duringGeneration(func() {})
	until("the first server", func(s state) bool { now = s; return s.Server == 1 })
	script := now.Script

	write(t, root, map[string]string{"backend/types.ts": "export const types = 2", "main.go": tinyServer("two")})
	duringGeneration(func() {
		write(t, root, map[string]string{"web/src/main.tsx": "console.log('WRONG')"})
		until("the page", func(s state) bool { now = s; return s.Script != script })
	})
	until("an error of the type checker", func(s state) bool { now = s; return len(s.Problems) > 0 })
	if got := now.Problems[0]; now.Server != 2 || got.From != fromTypes || got.Text != "export const types = 2" {
		t.Errorf("beside server %d, got %+v; want the error of the types of server 2", now.Server, got)
	}
}

// A generator may be slower than the compiler: its output is compiled anyway.
func TestGeneratedGoIsCompiled(t *testing.T) {
	root, work := tiny(t), t.TempDir()
	write(t, root, map[string]string{
		"backend/rooms/rooms.go": fmt.Sprintf("package rooms\n\n//go:generate sh -c %q\n",
			"until test -e "+filepath.Join(work, "next")+"; do sleep 0.01; done; cp contract.txt contract_gen.go"),
		"backend/rooms/contract.txt":    "package rooms\n\nconst Contract = 2\n",
		"backend/rooms/contract_gen.go": "package rooms\n\nconst Contract = 1\n",
		"main.go":                       "package main\n\nimport (\"fmt\"; \"tiny/backend/rooms\")\n\nfunc main() { fmt.Print(rooms.Contract) }\n",
	})
	s, err := newServer(root, work, nil, newOverlay(t.Logf), func() {})
	if err != nil {
		t.Fatal(err)
	}
	binary, err := s.compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := command(t.Context(), root, binary); err != nil || got != "2" {
		t.Errorf("got %q, %v; want the server with the generated constant", got, err)
	}
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = run(context.Background(), tiny(t), l.Addr().String(), "", nil, t.Logf)
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v, want that the address is in use", err)
	}
}
