package crashtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/troupe-dev/troupe/backend/app" // so that go test does not keep results of another binary
)

// tempDir is a directory for all tests of the package.
var tempDir string

func TestMain(m *testing.M) {
	for env, registry := range registries {
		if os.Getenv(env) != "" {
			fmt.Fprintln(os.Stderr, serveActors(registry))
			os.Exit(1)
		}
	}
	var err error
	if tempDir, err = os.MkdirTemp("", "troupe-crashtest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(tempDir)
	os.Exit(code)
}

// build builds the real binary.
var build = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(tempDir, "troupe")
	build := exec.Command("go", "build", "-buildvcs=false", "-pgo=off", "-trimpath", "-o", binary, "github.com/troupe-dev/troupe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make dev builds it, so that both share the build cache
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
})

// buildServer returns the path of the real binary.
func buildServer(t *testing.T) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// server is the process under test. It is started again on the same data.
type server struct {
	t      *testing.T
	binary string
	data   string

	network string // see newNetwork

	// journal is the size of the next process's journal in bytes; 0 means the
	// server's default.
	journal int
	env     []string

	process *exec.Cmd
	log     lockedBuffer

	mu   sync.Mutex
	addr string // of the newest process
}

// newNetwork returns the beginning of addresses 127.x.y.z for the servers of one test: while one of
// them is down, others that get its port must not answer its clients.
func newNetwork() string {
	if runtime.GOOS != "linux" {
		return "127.0.0." // others have only 127.0.0.1
	}
	return fmt.Sprintf("127.%d.%d.", 1+rand.IntN(254), rand.IntN(256))
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newServer(t *testing.T) *server { return newServerOf(t, buildServer(t)) }

func newServerOf(t *testing.T, binary string) *server {
	s := &server{t: t, binary: binary, data: t.TempDir()}
	t.Cleanup(func() {
		if s.process != nil {
			s.kill()
		}
		if t.Failed() {
			t.Logf("the server logged:\n%s", s.log.String())
		}
	})
	return s
}

func (s *server) address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

var saysAddress = regexp.MustCompile(`http://([0-9.:]+)`)

// start starts the server and returns once it listens.
func (s *server) start() {
	s.t.Helper()
	if s.network == "" {
		s.network = newNetwork()
	}
	cmd := exec.Command(s.binary, "-addr", s.network+"1:0", "-data", s.data, "-log", "warn")
	cmd.Env = append(os.Environ(), "GOTRACEBACK=all")
	cmd.Env = append(cmd.Env, s.env...)
	if s.journal > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint("TROUPE_JOURNAL_BYTES=", s.journal))
	}
	cmd.Stderr = &s.log
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = cmd
	line, err := bufio.NewReader(stdout).ReadString('\n')
	found := saysAddress.FindStringSubmatch(line)
	if found == nil {
		s.t.Fatalf("the server said %q, %v; want its address. It logged:\n%s", line, err, s.log.String())
	}
	s.mu.Lock()
	s.addr = found[1]
	s.mu.Unlock()
}

// kill ends the server like a crash.
func (s *server) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
}

// stop ends the server like a deploy.
func (s *server) stop() {
	s.t.Helper()
	begin := time.Now()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	err := s.process.Wait()
	s.process = nil
	if took := time.Since(begin); err != nil || took > 10*time.Second {
		s.t.Errorf("SIGTERM: got %v after %v, want exit status 0 within 10 s", err, took)
	}
}

// message is a message of the chat room.
type message struct {
	ID     string `json:"id"`
	UserID string `json:"userId"`
	Name   string `json:"name"`
	Text   string `json:"text"`
}

// patient waits for a server that is stopped for a while.
var patient = http.Client{Timeout: settling}

// messages returns the state of a chat room, which the server at an address has.
func messages(address, room string) ([]message, error) {
	url := fmt.Sprintf("http://%s/api/actors/chatRoom/actions/getMessages?create=false&key=%s", address, room)
	response, err := patient.Post(url, "application/json", strings.NewReader(`{"args":[]}`))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	var answer struct{ Result []message }
	err = errors.Join(err, response.Body.Close(), json.Unmarshal(body, &answer))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return answer.Result, err
}
