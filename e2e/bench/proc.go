package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server is a running peer: a process and all it starts, which are recognised
// by a marker in their environment (some peers orphan their children).
type Server struct {
	cmd   *exec.Cmd
	mark  string
	state string
	log   string

	exited chan struct{} // closed when the process has ended, and its port is free

	profile *profile // nil: none is wanted
}

func startServer(p Peer, cpus int) (*Server, error) {
	var r [8]byte
	_, _ = rand.Read(r[:])
	s := &Server{mark: "BENCH_MARK=" + hex.EncodeToString(r[:]), exited: make(chan struct{})}
	var err error
	if s.state, err = os.MkdirTemp("", "bench-"+p.Name+"-"); err != nil {
		return nil, err
	}
	_ = os.MkdirAll("out", 0o755)
	s.log = filepath.Join("out", p.Name+".log")
	lf, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer lf.Close()
	args := []string{"taskset", "-c", "0-" + strconv.Itoa(cpus-1)}
	for _, a := range p.Cmd {
		args = append(args, strings.ReplaceAll(a, "$STATE", s.state))
	}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Dir = p.Dir
	s.cmd.Stdout, s.cmd.Stderr = lf, lf
	s.cmd.Env = append(os.Environ(), s.mark)
	for _, e := range p.Env {
		s.cmd.Env = append(s.cmd.Env, strings.ReplaceAll(e, "$STATE", s.state))
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	running.add(s) // before it starts: an interrupt must not leave it behind
	if err := s.cmd.Start(); err != nil {
		close(s.exited)
		s.Stop()
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	return s, nil
}

// servers is a set of servers. Its methods may be called at the same time.
type servers struct {
	mu  sync.Mutex
	all []*Server
}

// running are the servers to stop before the program ends.
var running servers

func (r *servers) add(s *Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, s)
}

func (r *servers) remove(s *Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = slices.DeleteFunc(r.all, func(o *Server) bool { return o == s })
}

// stop kills all servers. The set stays locked so that no further server starts: the
// program must end afterwards.
func (r *servers) stop() {
	r.mu.Lock()
	for _, s := range r.all {
		s.kill()
	}
}

// pids lists the live processes that carry the marker.
func (s *Server) pids() []int {
	var out []int
	ents, err := os.ReadDir("/proc")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: listing /proc:", err)
	}
	for _, e := range ents {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err == nil && bytes.Contains(env, []byte(s.mark)) {
			out = append(out, pid)
		}
	}
	return out
}

// ready waits until a connection can join.
func (s *Server) ready(p Peer) error {
	for t := time.Now(); ; {
		c := &Conn{Room: "probe"}
		err := p.Dialect.Join(c, p.Addr, "probe")
		c.Close()
		if err == nil {
			time.Sleep(200 * time.Millisecond)
			if len(s.pids()) == 0 { // then something else answers on its port
				return fmt.Errorf("the server exited; see %s", s.log)
			}
			return nil
		}
		if time.Since(t) > 40*time.Second {
			return fmt.Errorf("not ready in 40 s: %w", err)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// Stop kills the server's processes, by pid, and waits until they have ended.
func (s *Server) Stop() {
	s.kill()
	running.remove(s)
}

func (s *Server) kill() {
	for idle := 0; idle < 3; { // a process just forked may be missed once
		ps := s.pids()
		if idle++; len(ps) > 0 || !s.hasExited() {
			idle = 0
		}
		for _, p := range ps {
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = os.RemoveAll(s.state)
}

// hasExited reports whether the process has ended. One that was killed is not among pids any
// more, but may still have its port for a while on a busy machine.
func (s *Server) hasExited() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// Usage is CPU seconds (user + system) and resident bytes of a set of processes.
type Usage struct {
	CPU float64
	RSS int64
	By  map[string]float64 // CPU seconds by command name
}

func usage(pids []int) Usage {
	u := Usage{By: map[string]float64{}}
	for _, p := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue
		}
		i := bytes.LastIndexByte(b, ')')
		name := string(b[bytes.IndexByte(b, '(')+1 : i])
		f := strings.Fields(string(b[i+2:]))
		ut, _ := strconv.ParseFloat(f[11], 64)
		st, _ := strconv.ParseFloat(f[12], 64)
		rss, _ := strconv.ParseInt(f[21], 10, 64)
		u.CPU += (ut + st) / 100
		u.By[name] += (ut + st) / 100
		u.RSS += rss * int64(os.Getpagesize())
	}
	return u
}

// selfCPU is this process's own CPU seconds.
func selfCPU() float64 {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

// machineCPU is the busy CPU seconds of the whole machine.
func machineCPU() float64 {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := bytes.Cut(b, []byte("\n"))
	f := strings.Fields(string(line))
	var busy float64
	for i, s := range f[1:] {
		if i == 3 || i == 4 || i > 7 { // idle, iowait, guest
			continue
		}
		v, _ := strconv.ParseFloat(s, 64)
		busy += v / 100
	}
	return busy
}
