//go:build linux

package crashtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// impatient gives a call up whose outcome the server does not know before its disk works.
var impatient = http.Client{Timeout: 2 * time.Second}

// say sends a message of about 1.5 KB to a chat room, and returns the status of the
// answer: 200, 503 with the code unavailable, or 0 if none came in time; then the message
// may be there. Any other answer is an error.
func (s *server) say(room, text string) (status int) {
	s.t.Helper()
	url := fmt.Sprintf("http://%s/api/actors/chatRoom/actions/sendMessage?key=%s", s.address(), room)
	body := fmt.Sprintf(`{"args":["ada",%q]}`, text+strings.Repeat(".", 1500))
	response, err := impatient.Post(url, "application/json", strings.NewReader(body))
	if os.IsTimeout(err) {
		return 0
	} else if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if os.IsTimeout(err) {
		return 0
	} else if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK && (response.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(answer, []byte(`"unavailable"`))) {
		s.t.Fatalf("a call: got %d %s, want 200, or 503 unavailable", response.StatusCode, answer)
	}
	return response.StatusCode
}

// health returns the status of /healthz and its text.
func (s *server) health() (int, string) {
	s.t.Helper()
	response, err := http.Get("http://" + s.address() + "/healthz")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// await calls f until it reports true.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !f() {
		select {
		case <-time.After(20 * time.Millisecond): // the server has a processor to itself
		case <-ctx.Done():
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// checkSaid checks that every acknowledged message is in its room, once.
func (s *server) checkSaid(acked map[string][]string) {
	s.t.Helper()
	for room, want := range acked {
		messages, err := messages(s.address(), room)
		if err != nil {
			s.t.Fatal(err)
		}
		var got []string
		for _, m := range messages {
			got = append(got, strings.TrimRight(m.Text, "."))
		}
		for _, text := range want {
			if n := len(slices.DeleteFunc(slices.Clone(got), func(g string) bool { return g != text })); n != 1 {
				s.t.Errorf("room %s has %q %d times, want once: it was acknowledged", room, text, n)
			}
		}
	}
}

// TestDiskGoesBad: a server whose disk takes no more data fails what it cannot store,
// says so, loses nothing that it has acknowledged, and works again once the disk does.
func TestDiskGoesBad(t *testing.T) {
	binary := buildServer(t)
	tests := []struct {
		name   string
		status string
		fill   func(t *testing.T, s *server) (repair func()) // before any call
	}{
		{"a full disk", "the disk is full", func(t *testing.T, s *server) func() {
			mount(t, s.data, "size=600k")
			s.start()
			return func() { must(t, syscall.Mount("tmpfs", s.data, "tmpfs", syscall.MS_REMOUNT, "size=64m")) }
		}},
		{"a limit on the size of files", "see the server log", func(t *testing.T, s *server) func() {
			s.start()
			limitFiles(t, s.process.Process.Pid, 300_000)
			return func() { limitFiles(t, s.process.Process.Pid, 1<<40) }
		}},
		{"a directory that is moved away", "the store's file is gone", func(t *testing.T, s *server) func() {
			s.start()
			if status := s.say("before", "x"); status != http.StatusOK {
				t.Fatalf("a call before: got %d, want 200", status)
			}
			must(t, os.Rename(s.data, s.data+".old"))
			await(t, "the health of a server without its directory", func() bool { status, _ := s.health(); return status != http.StatusOK })
			return func() { must(t, os.Rename(s.data+".old", s.data)) }
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &server{t: t, binary: binary, data: filepath.Join(t.TempDir(), "data")}
			must(t, os.Mkdir(s.data, 0o700))
			t.Cleanup(func() {
				if s.process != nil {
					s.kill()
				}
				if t.Failed() {
					t.Logf("the server logged:\n%.4000s", s.log.String())
				}
			})
			repair := test.fill(t, s)
			acked, failed := map[string][]string{}, 0
			// A store that fails tries again, and may succeed for a while.
			for i := 0; failed < 3; i++ {
				if i == 1000 {
					t.Fatal("1000 calls, and the disk still works")
				}
				room, text := fmt.Sprint("room", i%50), fmt.Sprint("message ", i)
				switch s.say(room, text) {
				case http.StatusOK:
					acked[room] = append(acked[room], text)
					failed = 0
				case http.StatusServiceUnavailable:
					failed++
				default: // a slow machine, or a call that waits for the disk
					if status, _ := s.health(); status != http.StatusOK {
						failed++
					}
				}
			}
			if status, body := s.health(); status != http.StatusServiceUnavailable || !strings.Contains(body, test.status) {
				t.Errorf("/healthz: got %d %s, want 503 with %q", status, body, test.status)
			}
			repair()
			await(t, "the health once the disk works", func() bool { status, _ := s.health(); return status == http.StatusOK })
			if status := s.say("after", "it works"); status != http.StatusOK {
				t.Errorf("a call once the disk works: got %d, want 200", status)
			}
			acked["after"] = []string{"it works"}
			s.checkSaid(acked)
			s.kill()
			s.start()
			s.checkSaid(acked)
			s.stop()
		})
	}
}

// TestDirectoryDeleted: a server whose data directory is deleted ends at SIGTERM,
// and its exit status and last line say that something is lost.
func TestDirectoryDeleted(t *testing.T) {
	s := newServer(t)
	s.data = filepath.Join(s.data, "data")
	s.start()
	if status := s.say("room", "lost"); status != http.StatusOK {
		t.Fatalf("a call: got %d, want 200", status)
	}
	must(t, os.RemoveAll(s.data))
	await(t, "the health of a server without its directory", func() bool { status, _ := s.health(); return status != http.StatusOK })
	for _, room := range []string{"room", "new"} {
		if status := s.say(room, "refused"); status == http.StatusOK {
			t.Errorf("room %s: a call without a data directory was acknowledged", room)
		}
	}
	must(t, s.process.Process.Signal(syscall.SIGTERM))
	err := s.process.Wait()
	s.process = nil
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(s.log.String(), "troupe: close the store: store: the file is gone: "+s.data) {
		t.Errorf("got %v, want exit status 1 and a line that the file is gone", err)
	}
	if _, err := os.Stat(s.data); err == nil {
		t.Error("the directory was made again")
	}
}

// TestReadOnlyDisk: a server that cannot write to its data directory ends at once, with
// one line that names the directory.
func TestReadOnlyDisk(t *testing.T) {
	binary, dir := buildServer(t), filepath.Join(t.TempDir(), "disk")
	must(t, os.Mkdir(dir, 0o500))
	if os.Getuid() == 0 { // which may write everywhere
		mount(t, dir, "ro")
	}
	for _, data := range []string{dir, filepath.Join(dir, "data")} {
		out, err := exec.Command(binary, "-addr", "127.0.0.1:0", "-log", "error", "-data", data).CombinedOutput()
		var exit *exec.ExitError
		if text := string(out); !errors.As(err, &exit) || exit.ExitCode() != 1 || strings.Count(text, "\n") != 1 || !strings.Contains(text, data) {
			t.Errorf("%s: got %v and %q, want exit status 1 and one line that names the directory", data, err, text)
		}
	}
}

// mount mounts a small disk, or skips the test if this process may not.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	flags := uintptr(0)
	if options == "ro" {
		flags, options = syscall.MS_RDONLY, ""
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Skipf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// limitFiles limits the size of the files that a process writes (RLIMIT_FSIZE), or skips
// the test if this process may not.
func limitFiles(t *testing.T, pid int, bytes uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: bytes, Max: 1 << 40}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno == syscall.EPERM {
		t.Skipf("limit the files of another process: %v", errno)
	} else if errno != 0 {
		t.Fatal(errno)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
