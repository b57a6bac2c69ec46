//go:build linux

package app_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestFewDescriptors: a server with too few file descriptors to keep some from clients
// does not start, and says what to do; with the fewest it starts, clients that only
// connect do not keep it from serving and storing.
func TestFewDescriptors(t *testing.T) {
	var log buffer
	cmd := command(t, "ulimit -n 64;", &log, "-data", t.TempDir())
	cmd.Stdout = io.Discard
	if err := begin(t, cmd).wait(t); err == nil || !strings.Contains(log.String(), "the limit of open files is 64: want 256 or more, by ulimit -n 65536") {
		t.Errorf("ulimit -n 64: got %v and %s, want an error that says what to do", err, log.String())
	}

	p := launch(t, command(t, "ulimit -n 256;", io.Discard, "-data", t.TempDir()))
	p.say(t, "before") // on a connection that is kept
	var idle []net.Conn
	for range 400 {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(p.url, "http://"), 10*time.Second)
		if err != nil {
			continue // it was cut at once
		}
		idle = append(idle, conn)
	}
	p.say(t, "during")
	if status, body := get(t, p.url+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: got %d %s", status, body)
	}
	for _, conn := range idle {
		_ = conn.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	for begin := time.Now(); ; {
		body, status, err := p.call("getMessages", "[]")
		if err == nil && status == http.StatusOK && strings.Contains(body, "before") && strings.Contains(body, "during") {
			break
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("after the others have gone: got %d %s, %v", status, body, err)
		}
	}
	p.ends(t, syscall.SIGTERM)
}

// memoryGroup makes a cgroup with a memory limit, and returns the command that puts a
// shell into it. It skips the test if this process may not, or if a process in the group
// cannot find it below the mount of cgroups.
func memoryGroup(t *testing.T, limit int) (enter string) {
	t.Helper()
	var reasons []error
	for _, version := range []struct{ parent, limit string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, // 1
		{"/sys/fs/cgroup", "memory.max"},                   // 2
	} {
		name := fmt.Sprint("troupe-test-", os.Getpid())
		group := filepath.Join(version.parent, name)
		_, err := os.Stat(filepath.Join(version.parent, "cgroup.procs"))
		if err == nil {
			err = os.Mkdir(group, 0o755)
		}
		if err != nil {
			reasons = append(reasons, err)
			continue
		}
		t.Cleanup(func() { // works a moment after its last process has ended
			for range 100 {
				if os.Remove(group) == nil {
					return
				}
				<-time.After(10 * time.Millisecond)
			}
			t.Logf("%s cannot be removed", group)
		})
		if err := os.WriteFile(filepath.Join(group, version.limit), []byte(fmt.Sprint(limit)), 0); err != nil {
			reasons = append(reasons, err)
			continue
		}
		enter := "echo $$ > " + filepath.Join(group, "cgroup.procs") + " &&"
		out, err := exec.Command("sh", "-c", enter+" cat /proc/self/cgroup").CombinedOutput()
		if err == nil && strings.Contains(string(out), ":/"+name+"\n") {
			return enter
		}
		reasons = append(reasons, fmt.Errorf("a process in %s is not at /%s: %v\n%s", group, name, err, out))
	}
	t.Skipf("cannot limit the memory of a process here: %v", errors.Join(reasons...))
	return ""
}

// TestSmallMemory: in a container with little memory the server refuses work that would
// not fit, and lives.
func TestSmallMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes thousands of connections")
	}
	const conns, size = 2500, 60 << 10
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur < 2*conns {
		t.Skipf("the limit of open files is %d, %v: want %d", files.Cur, err, 2*conns)
	}
	var log buffer
	p := launch(t, command(t, "unset GOMEMLIMIT; "+memoryGroup(t, 128<<20), &log, "-data", t.TempDir()))
	if want := "container=134217728 GOMEMLIMIT=67108864"; !strings.Contains(log.String(), want) {
		t.Errorf("log: got %s, want %s", log.String(), want)
	}
	// Bodies whose last byte is missing take memory until the server refuses more.
	head := fmt.Sprintf("POST /api/actors/chatRoom/actions/sendMessage?key=a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", size)
	body := []byte(head + `{"args":["ada","` + strings.Repeat("x", size-len(`{"args":["ada",""]}`)) + `"]`)
	var open [conns]net.Conn
	var refused atomic.Int64
	var opening sync.WaitGroup
	for worker := range 8 {
		opening.Go(func() {
			for i := worker; i < conns; i += 8 {
				conn, err := net.DialTimeout("tcp", strings.TrimPrefix(p.url, "http://"), 10*time.Second)
				if err == nil {
					_ = conn.SetDeadline(time.Now().Add(time.Minute))
					open[i] = conn
					_, err = conn.Write(body)
				}
				if err != nil {
					refused.Add(1)
				}
			}
		})
	}
	opening.Wait()
	if status, body := get(t, p.url+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: got %d %s", status, body)
	}
	answers := map[string]int{}
	for _, conn := range open {
		if conn == nil {
			continue
		}
		b := make([]byte, len("HTTP/1.1 503"))
		if _, err := conn.Write([]byte("}")); err == nil {
			_, _ = io.ReadFull(conn, b)
		} else {
			b = []byte("none")
		}
		answers[string(b)]++
		_ = conn.Close()
	}
	t.Logf("%d could not send; answers: %v", refused.Load(), answers)
	if answers["HTTP/1.1 503"] == 0 {
		t.Errorf("got answers %v, want some that the server is overloaded", answers)
	}
	p.say(t, "still there")
	p.ends(t, syscall.SIGTERM)
}
