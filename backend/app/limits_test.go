//go:build linux

package app_test

import (
	"io"
	"net"
	"net/http"
	"strings"
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
	if err := cmd.Run(); err == nil || !strings.Contains(log.String(), "the limit of open files is 64: want 256 or more, by ulimit -n 65536") {
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
