package attack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/troupe-dev/troupe/backend/app" // so that go test does not keep results of another binary
)

var (
	long       = flag.Bool("attack.long", false, "attack for minutes, and measure latency")
	seed       = flag.Uint64("attack.seed", 1, "of the random choices")
	binaryFlag = flag.String("attack.binary", "", "attack this binary, not one of the working tree")
)

// times returns how often to do something: n times in the long form.
func times(n, short int) int {
	if *long {
		return n
	}
	return short
}

// troupe is the path of the real binary.
var troupe string

func TestMain(m *testing.M) {
	flag.Parse()
	if *bystanderOf != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "troupe-attack-")
	if err == nil {
		if troupe = *binaryFlag; troupe == "" {
			troupe = filepath.Join(dir, "troupe")
			build := exec.Command("go", "build", "-buildvcs=false", "-pgo=off", "-trimpath", "-o", troupe, "github.com/troupe-dev/troupe")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			build.Stderr = os.Stderr
			err = build.Run()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// server is the process under attack.
type server struct {
	t       *testing.T
	addr    string
	process *exec.Cmd
	log     lockedBuffer

	received atomic.Int64 // bytes that all clients have received
	paced    atomic.Pointer[pace]
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

var saysAddress = regexp.MustCompile(`http://([0-9.:]+)`)

// noRates are the flags that let an attack of minutes take seconds.
var noRates = []string{"-call-rate-per-ip=0", "-connect-rate-per-ip=0"}

// start starts the server with further flags.
func start(t *testing.T, flags ...string) *server {
	t.Helper()
	s := &server{t: t}
	s.process = exec.Command(troupe, append([]string{
		"-addr=127.0.0.1:0", "-data=" + t.TempDir(), "-log=warn", "-metrics", "-trusted-proxies=127.0.0.1",
	}, flags...)...)
	s.process.Stderr = &s.log
	stdout, err := s.process.StdoutPipe()
	if err == nil {
		err = s.process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		if t.Failed() {
			t.Logf("the server logged:\n%s", s.log.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	found := saysAddress.FindStringSubmatch(line)
	if found == nil {
		t.Fatalf("the server said %q, %v; want its address. It logged:\n%s", line, err, s.log.String())
	}
	s.addr = found[1]
	return s
}

// proc reads a file of the server's in /proc.
func (s *server) proc(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.process.Process.Pid, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// cpu returns the CPU time that the server has used: that of its threads, to the nanosecond,
// where the kernel counts it.
func (s *server) cpu() (used time.Duration) {
	s.t.Helper()
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.process.Process.Pid))
	for _, thread := range threads {
		b, _ := os.ReadFile(thread)
		if fields := strings.Fields(string(b)); len(fields) > 0 {
			ns, _ := strconv.ParseInt(fields[0], 10, 64)
			used += time.Duration(ns)
		}
	}
	if used > 0 {
		return used
	}
	stat := s.proc("stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err = errors.Join(err, err2); err != nil {
		s.t.Fatal(err)
	}
	const tick = 10 * time.Millisecond
	return time.Duration(user+system) * tick
}

// field returns the number behind a name in a file of /proc.
func (s *server) field(file, name string) int64 {
	s.t.Helper()
	for line := range strings.Lines(s.proc(file)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatalf("no %s in %s", name, file)
	return 0
}

// memory returns the memory that the server occupies, in bytes.
func (s *server) memory() int64 { return s.field("status", "VmRSS") << 10 }

// written returns how many bytes the server has written to files: all that it wrote but
// what clients have received.
func (s *server) written() int64 { return s.field("io", "wchar") - s.received.Load() }

// metric returns a metric's value.
func (s *server) metric(name string) float64 {
	s.t.Helper()
	response, err := http.Get("http://" + s.addr + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return f
		}
	}
	return 0
}

// counted is a connection whose bytes are counted.
type counted struct {
	net.Conn
	sent, received *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	return n, err
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// dial opens a connection whose bytes are counted.
func (s *server) dial(sent *atomic.Int64) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return counted{c, sent, &s.received}, nil
	}
}
