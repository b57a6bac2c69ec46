//go:build linux

package app_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
)

// TestSinks: a log that cannot be written does not end the server, block it, or keep it
// from ending.
func TestSinks(t *testing.T) {
	pipe := func(t *testing.T) (r, w *os.File) {
		t.Helper()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
		return r, w
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer full.Close()
	for name, stderr := range map[string]func(t *testing.T) (stderr *os.File, broken func()){
		"closed": func(t *testing.T) (*os.File, func()) {
			r, w := pipe(t)
			return w, func() { _ = r.Close() }
		},
		"a pipe that nobody reads": func(t *testing.T) (*os.File, func()) {
			_, w := pipe(t)
			fill(t, int(w.Fd()))
			return w, func() {}
		},
		"on a full disk": func(*testing.T) (*os.File, func()) { return full, func() {} },
	} {
		t.Run("stderr "+name, func(t *testing.T) {
			t.Parallel()
			w, broken := stderr(t)
			p := launch(t, command(t, "", w, "-data", t.TempDir(), "-log", "debug", "-metrics"))
			broken()
			for range 10 { // each logs lines
				conn, _, err := websocket.Dial(t.Context(), p.url+"/api/socket?v=1", nil)
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.CloseNow()
			}
			p.say(t, "hello")
			if status, body := get(t, p.url+"/healthz"); status != http.StatusOK {
				t.Errorf("/healthz: got %d %s", status, body)
			}
			p.ends(t, syscall.SIGTERM)
		})
	}
	t.Run("stdout closed", func(t *testing.T) {
		t.Parallel()
		r, w := pipe(t)
		_ = r.Close()
		var log buffer
		cmd := command(t, "", &log, "-data", t.TempDir(), "-debug-addr", "127.0.0.1:0")
		cmd.Stdout = w
		p := begin(t, cmd)
		log.await(t, "cannot print the server's address", 1, p.ended)
		p.ends(t, syscall.SIGTERM)
	})
	t.Run("stderr full, and an error at the start", func(t *testing.T) {
		t.Parallel()
		_, w := pipe(t)
		fill(t, int(w.Fd()))
		cmd := command(t, "", w, "-store", "nothing")
		cmd.Stdout = io.Discard
		if err := begin(t, cmd).wait(t); err == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("got %v, want exit status 1", err)
		}
	})
}

// fill fills a pipe.
func fill(t *testing.T, fd int) {
	t.Helper()
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{4096, 1} {
		for {
			if _, err := syscall.Write(fd, make([]byte, size)); err != nil {
				break
			}
		}
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
}

// TestSignals: each signal that asks a server to end shuts it down, and loses nothing.
func TestSignals(t *testing.T) {
	data := t.TempDir()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		p := launch(t, command(t, "", io.Discard, "-data", data))
		p.say(t, sig.String())
		p.ends(t, sig)
	}
	p := launch(t, command(t, "trap '' HUP;", io.Discard, "-data", data)) // as nohup does
	p.signal(t, syscall.SIGHUP)
	p.say(t, "still there")
	body, _, err := p.call("getMessages", "[]")
	for _, want := range []string{"terminated", "hangup", "interrupt", "still there"} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s, %v, want the message %q", body, err, want)
		}
	}
	p.ends(t, syscall.SIGTERM)
}

// TestSignals_second: while a server drains, a second SIGHUP does nothing, as a terminal
// that closes may send two; a second SIGTERM ends the process at once.
func TestSignals_second(t *testing.T) {
	var log buffer
	p := launch(t, command(t, "", &log, "-data", t.TempDir(), "-drain", "1h"))
	for range 2 {
		p.signal(t, syscall.SIGHUP)
		log.await(t, "draining", 1, p.ended)
	}
	p.say(t, "still there")
	p.signal(t, syscall.SIGTERM)
	if err := p.wait(t); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("got %v, want that the signal has ended it", err)
	}
}
