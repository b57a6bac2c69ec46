//go:build linux

package app_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests in this file and its neighbours run the real binary, and break what
// surrounds it: outputs, limits, signals.

var built struct {
	once   sync.Once
	dir    string
	binary string
	err    error
}

func TestMain(m *testing.M) {
	// Below nohup SIGHUP is ignored, also by the servers, unless this process handles it.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// binary builds the real binary, once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "troupe-"); built.err != nil {
			return
		}
		built.binary = filepath.Join(built.dir, "troupe")
		build := exec.Command("go", "build", "-buildvcs=false", "-pgo=off", "-trimpath", "-o", built.binary, "github.com/troupe-dev/troupe")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make dev builds it, so that both share the build cache
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.binary
}

// process is a running binary.
type process struct {
	cmd    *exec.Cmd
	stdout io.Reader     // nil if the command has its own
	url    string        // from listens
	ended  chan struct{} // closed when it has ended, and its outputs are complete
	err    error         // with which it ended, valid once ended is closed
}

// command prepares the binary with a log on stderr, where shell comes before it: a prefix
// such as "ulimit -n 64;".
func command(t *testing.T, shell string, stderr io.Writer, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", shell + ` exec "$0" "$@"`, binary(t), "-addr", "127.0.0.1:0"}, args...)...)
	cmd.Stderr = stderr
	return cmd
}

// launch starts a command and waits for its address.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := begin(t, cmd)
	p.listens(t)
	return p
}

// begin starts a command. The test kills it in the end if it still runs.
func begin(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	var w *os.File
	if cmd.Stdout == nil { // not StdoutPipe, which Wait closes
		r, pipe, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		p.stdout, w, cmd.Stdout = r, pipe, pipe
	}
	err := cmd.Start()
	if w != nil {
		_ = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// listens waits for the process's address.
func (p *process) listens(t *testing.T) {
	t.Helper()
	line, err := bufio.NewReader(p.stdout).ReadString('\n')
	if p.url = regexp.MustCompile(`http://\S+`).FindString(line); p.url == "" {
		_ = p.wait(t)
		t.Fatalf("it printed %q, %v; want its address. It logged: %v", line, err, p.cmd.Stderr)
	}
}

// signal sends a signal.
func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Errorf("%v: %v", sig, err)
	}
}

// wait returns the error with which the process ends, within 10 s and what outputs may
// add.
func (p *process) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Error("it did not end within 20 s")
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	return p.err
}

// ends sends a signal and expects exit status 0 in time.
func (p *process) ends(t *testing.T, sig syscall.Signal) {
	t.Helper()
	begin := time.Now()
	p.signal(t, sig)
	if err := p.wait(t); err != nil {
		t.Errorf("%v: it exited with %v after %v, want status 0", sig, err, time.Since(begin))
	}
}

// say adds a message to a chat room.
func (p *process) say(t *testing.T, text string) {
	t.Helper()
	body, status, err := p.call("sendMessage", fmt.Sprintf(`["ada",%q]`, text))
	if err != nil || status != http.StatusOK {
		t.Errorf("sendMessage: got %d %s, %v", status, body, err)
	}
}

// call calls an action of the chat room "general".
func (p *process) call(action, args string) (body string, status int, err error) {
	return callRoom(p.url, "general", action, args, "")
}

// callRoom calls an action of a chat room, with an idempotency key if it is not empty.
func callRoom(url, room, action, args, idempotencyKey string) (body string, status int, err error) {
	r, err := http.NewRequest(http.MethodPost, url+"/api/actors/chatRoom/actions/"+action+"?key="+room, strings.NewReader(`{"args":`+args+`}`))
	if err != nil {
		return "", 0, err
	}
	if idempotencyKey != "" {
		r.Header.Set("Idempotency-Key", idempotencyKey)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", 0, err
	}
	b, err := io.ReadAll(answer.Body)
	return string(b), answer.StatusCode, errors.Join(err, answer.Body.Close())
}

// User code finds time zones in an image that has none.
func TestTimeZones(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/troupe-dev/troupe").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\ntime/tzdata\n") {
		t.Errorf("the binary does not have time/tzdata: %v", err)
	}
}
