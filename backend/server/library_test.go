package server_test

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// app is a module outside the project that uses it as a library: testdata/library.
// e2e/packages.spec.ts connects the JavaScript client to the same one.
type app struct {
	t   *testing.T
	dir string
}

// newApp copies the module to a temporary directory. It requires what this project
// requires, which the module cache already has, and this project by a replacement.
func newApp(t *testing.T) *app {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	a := &app{t, t.TempDir()}
	if err := os.CopyFS(a.dir, os.DirFS("testdata/library")); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	own := regexp.MustCompile(`(?m)^module .*`).ReplaceAllString(string(mod), "module example.com/app")
	own = regexp.MustCompile(`(?m)^tool .*`).ReplaceAllString(own, "")
	own += "\nrequire github.com/troupe-dev/troupe v0.0.0\n\nreplace github.com/troupe-dev/troupe => " + root + "\n"
	a.write("go.mod", own)
	a.write("go.sum", string(sum))
	return a
}

func (a *app) write(name, content string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(content), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

func (a *app) read(name string) string {
	a.t.Helper()
	content, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(content)
}

func (a *app) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(a.t.Context(), name, args...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod -pgo=off -trimpath", "GOWORK=off", "GOPROXY=off")
	return cmd
}

// golang runs the go command.
func (a *app) golang(args ...string) {
	a.t.Helper()
	if out, err := a.command("go", args...).CombinedOutput(); err != nil {
		a.t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// start starts a program of the module and returns its first line, its address. stop
// interrupts it and returns its error.
func (a *app) start(binary string) (url string, stop func() error) {
	a.t.Helper()
	cmd := a.command(binary)
	var log buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = cmd.Process.Kill() }) // if it has not ended
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		a.t.Fatalf("it printed %q, %v, and logged %s", line, err, &log)
	}
	return strings.TrimSpace(line), func() error {
		err := cmd.Process.Signal(os.Interrupt)
		_, copied := io.Copy(io.Discard, stdout)
		return errors.Join(err, copied, cmd.Wait())
	}
}

// TestLibrary: another module declares an actor, generates the types of its clients, and
// serves it in 20 lines, in a net/http server and in a chi router.
func TestLibrary(t *testing.T) {
	a := newApp(t)
	a.golang("run", "github.com/troupe-dev/troupe/backend/typegen/cmd/typegen", "-o", "registry.gen.ts", "./counter")
	if ts := a.read("registry.gen.ts"); !strings.Contains(ts, "export interface Changed") || !strings.Contains(ts, "add(by: string, n: number)") {
		t.Errorf("registry.gen.ts: got %s, want the types of the counter", ts)
	}
	if contract := a.read("counter/contract_gen.go"); !strings.Contains(contract, "counter.add():") {
		t.Errorf("contract_gen.go: got %s, want the contract of the counter", contract)
	}
	for i, program := range []string{"nethttp", "chi"} {
		_, body, _ := strings.Cut(a.read(program+"/main.go"), "func main() {\n")
		if lines := strings.Count(body, "\n") - 1; lines > 20 {
			t.Errorf("%s serves in %d lines, want 20", program, lines)
		}
		binary := filepath.Join(a.dir, "bin-"+program)
		a.golang("build", "-buildvcs=false", "-o", binary, "./"+program)
		url, stop := a.start(binary)
		if status, body := get(t, url+"/healthz"); status != http.StatusOK || !strings.Contains(body, `"status":"ok"`) {
			t.Errorf("%s: GET /healthz: got %d %s", program, status, body)
		}
		response, err := http.Post(url+"/api/actors/counter/actions/add?key=apples", "application/json", strings.NewReader(`{"args":["ada",2]}`))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		// The second program finds what the first one stored.
		if want := []string{`{"result":2}`, `{"result":4}`}[i]; errors.Join(err, response.Body.Close()) != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s: add: got %s %s, %v; want %s", program, response.Status, got, err, want)
		}
		begin := time.Now()
		if err := stop(); err != nil || time.Since(begin) > 10*time.Second {
			t.Errorf("%s: ended with %v after %v, want none within 10 s", program, err, time.Since(begin))
		}
	}
	if _, err := os.Stat(filepath.Join(a.dir, "data", "troupe.db")); errors.Is(err, fs.ErrNotExist) {
		t.Error("the options' directory does not have the data")
	}
}
