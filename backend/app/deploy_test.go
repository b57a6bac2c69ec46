//go:build linux

package app_test

import (
	"encoding/json"
	"fmt"
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

	"github.com/troupe-dev/troupe/backend/internal/loopback"
)

// nextBinary builds the binary with another version.
func nextBinary(t *testing.T) string {
	t.Helper()
	next := filepath.Join(t.TempDir(), "troupe")
	build := exec.Command("go", "build", "-buildvcs=false", "-pgo=off", "-trimpath", "-ldflags", "-X github.com/troupe-dev/troupe/backend/app.version=next", "-o", next, "github.com/troupe-dev/troupe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return next
}

// TestDeploy: new binaries replace old ones on the same data and address, while clients
// call and repeat what was not answered. Each call takes effect once, in order, and each
// old process exits with status 0.
func TestDeploy(t *testing.T) {
	addr, err := loopback.Address()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	binaries := []string{binary(t), nextBinary(t)}
	var log buffer
	version := func(n int) *exec.Cmd {
		cmd := exec.Command(binaries[n%2], "-addr", addr, "-data", data)
		cmd.Stderr = &log
		return cmd
	}
	p := launch(t, version(0))

	// Each client says one message after the other, in rooms of so many messages.
	const clients, messages = 8, 150
	room := func(client, message int) string { return fmt.Sprintf("room-%d-%d", client, message/messages) }
	stop, another := make(chan struct{}), make(chan struct{}, 1)
	var answered, repeated atomic.Int64
	var sent [clients]int
	var calling sync.WaitGroup
	for i := range clients {
		calling.Go(func() {
			for ; ; sent[i]++ {
				args, key := fmt.Sprintf(`["ada","message %d"]`, sent[i]), fmt.Sprintf("client-%d-message-%06d", i, sent[i])
				for begin := time.Now(); ; repeated.Add(1) {
					body, status, err := callRoom("http://"+addr, room(i, sent[i]), "sendMessage", args, key)
					if err == nil && status == http.StatusOK {
						break
					}
					if err == nil && status != http.StatusServiceUnavailable || time.Since(begin) > 30*time.Second {
						t.Errorf("%s: got %d %s, %v, want 200 or 503", key, status, body, err)
						return
					}
					<-time.After(20 * time.Millisecond)
				}
				answered.Add(1)
				select {
				case <-stop:
					sent[i]++
					return
				case another <- struct{}{}:
				default:
				}
			}
		})
	}
	// progress waits until some calls were answered.
	progress := func() {
		t.Helper()
		for before, late := answered.Load(), time.After(30*time.Second); answered.Load() < before+200; {
			select {
			case <-another:
			case <-late:
				t.Fatalf("only %d calls were answered in 30 s", answered.Load()-before)
			}
		}
	}
	for n, step := range []struct {
		sig    syscall.Signal
		beside bool // the next process starts before the old one ends
	}{{syscall.SIGTERM, true}, {syscall.SIGHUP, true}, {syscall.SIGTERM, false}, {syscall.SIGHUP, false}} {
		progress()
		var next *process
		if step.beside {
			const waits = "the data directory is in use"
			before := strings.Count(log.String(), waits)
			next = begin(t, version(n+1))
			log.await(t, waits, before+1, next.ended)
		}
		p.ends(t, step.sig)
		if !step.beside {
			next = begin(t, version(n+1))
		}
		next.listens(t)
		p = next
		if _, health := get(t, p.url+"/healthz"); strings.Contains(health, `"version":"next"`) != (n%2 == 0) {
			t.Errorf("step %d: the server is %s", n, health)
		}
	}
	progress()
	close(stop)
	calling.Wait()

	total := 0
	for i := range clients {
		for n := 0; n < sent[i]; n++ {
			body, status, err := callRoom("http://"+addr, room(i, n), "getMessages", "[]", "")
			var got struct{ Result []struct{ Text string } }
			if err != nil || status != http.StatusOK || json.Unmarshal([]byte(body), &got) != nil {
				t.Fatalf("%s: got %d, %v", room(i, n), status, err)
			}
			if want := min(messages, sent[i]-n); len(got.Result) != want {
				t.Errorf("%s: got %d messages, want %d", room(i, n), len(got.Result), want)
			}
			for j, m := range got.Result {
				if want := fmt.Sprintf("message %d", n+j); m.Text != want {
					t.Fatalf("%s: message %d is %q, want %q", room(i, n), j, m.Text, want)
				}
			}
			n += messages - 1
		}
		total += sent[i]
	}
	t.Logf("%d calls over 4 deploys, %d repeated", total, repeated.Load())
	p.ends(t, syscall.SIGTERM)
}
