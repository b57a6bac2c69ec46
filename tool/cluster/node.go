package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-dev/troupe/tool/internal/child"
)

// node is a process of the cluster, which can be started again.
type node struct {
	name   string
	binary string
	args   []string
	env    []string
	say    func(format string, args ...any)

	mu  sync.Mutex
	cmd *exec.Cmd // nil: none runs
	now status
}

// status is how a node is.
type status struct {
	running, paused, ready bool
	addr                   string // host:port; empty: it does not listen yet
	owned                  string // number of its partitions; empty: it does not say
}

// String describes the node of that name.
func (s status) String(name string) string {
	switch {
	case !s.running:
		return name + ": down"
	case s.paused:
		return name + ": stopped"
	case !s.ready:
		return name + ": not ready"
	case s.owned == "":
		return name + ": ready"
	}
	return fmt.Sprintf("%s: %s partitions", name, s.owned)
}

func (n *node) status() status {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

// listening matches the line in which a node prints its address.
var listening = regexp.MustCompile(`^\S+ is at http://([^/\s]+)`)

// start starts a process. When it has ended, the node is sent to ended, whose reader calls n.ended.
func (n *node) start(ended chan<- *node) error {
	cmd := exec.Command(n.binary, n.args...)
	cmd.Env = n.env
	child.OwnGroup(cmd, syscall.SIGKILL) // SIGTERM would not end one that is stopped
	cmd.Stderr = &lines{say: func(line string) { n.say("%s | %s", n.name, line) }}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.mu.Lock()
	n.cmd, n.now = cmd, status{running: true}
	n.mu.Unlock()
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				n.say("%s is at http://%s", n.name, m[1])
				n.mu.Lock()
				n.now.addr = m[1]
				n.mu.Unlock()
			} else {
				n.say("%s | %s", n.name, lines.Text())
			}
		}
		if err := cmd.Wait(); err != nil {
			n.say("%s has ended: %v", n.name, err)
		} else {
			n.say("%s has ended", n.name)
		}
		ended <- n
	}()
	return nil
}

// ended notes that the process has ended.
func (n *node) ended() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cmd, n.now = nil, status{}
}

var errDown = errors.New("it does not run")

// signal calls f with the process.
func (n *node) signal(f func(*exec.Cmd) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return errDown
	}
	return f(n.cmd)
}

func (n *node) kill() error { return n.signal(func(cmd *exec.Cmd) error { return cmd.Process.Kill() }) }

// terminate asks the process to end. One that is stopped does when it continues.
func (n *node) terminate() error { return n.signal(child.Terminate) }

// pause stops the process, or lets it continue.
func (n *node) pause(stopped bool) error {
	return n.signal(func(cmd *exec.Cmd) error {
		err := child.Pause(cmd, stopped)
		if err == nil {
			n.now.paused = stopped
			n.now.ready = n.now.ready && !stopped
		}
		return err
	})
}

// watch asks the node again and again how it is, until ctx ends, and signals changes.
func (n *node) watch(ctx context.Context, changed chan<- struct{}) {
	const often = 250 * time.Millisecond
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(often):
		}
		s := n.status()
		if s.addr == "" || s.paused {
			continue
		}
		ready, owned := ask(ctx, s.addr)
		n.mu.Lock()
		differs := n.now == s && (s.ready != ready || s.owned != owned) // it has not been killed meanwhile
		if differs {
			n.now.ready, n.now.owned = ready, owned
		}
		n.mu.Unlock()
		if differs {
			select {
			case changed <- struct{}{}:
			default: // the change before it has not been read
			}
		}
	}
}

var ownedMetric = regexp.MustCompile(`(?m)^troupe_cluster_partitions_owned(?:\{[^}]*\})? (\d+)$`)

// ask asks the node at an address whether it takes clients, and for the number of its partitions.
func ask(ctx context.Context, addr string) (ready bool, owned string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	status, _ := get(ctx, "http://"+addr+"/readyz")
	_, metrics := get(ctx, "http://"+addr+"/metrics")
	if m := ownedMetric.FindSubmatch(metrics); m != nil {
		owned = string(m[1])
	}
	return status == http.StatusOK, owned
}

// get returns the answer to a request, or 0 if there is none.
func get(ctx context.Context, url string) (status int, body []byte) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(response.Body); err != nil {
		return 0, nil
	}
	return response.StatusCode, body
}

// lines is a writer that passes lines on.
type lines struct {
	say  func(line string)
	rest []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		l.say(string(line))
		l.rest = rest
	}
}
