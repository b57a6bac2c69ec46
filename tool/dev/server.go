package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-dev/troupe/tool/internal/child"
	"github.com/troupe-dev/troupe/web"
	"github.com/troupe-dev/troupe/web/build"
)

// server builds and runs the project's server, and replaces it after each change.
type server struct {
	root     string
	work     string // directory for builds
	args     []string
	overlay  *overlay
	builds   *job
	built    func()          // called when nothing is left to build
	replaced string          // the file for go build -overlay
	life     context.Context // that of run

	mu      sync.Mutex
	templs  map[string]bool // saved since the last generation
	goFiles bool            // Go files were saved since then
	saveAt  time.Time       // when the first of them was saved
	due     bool            // a build was asked for that has not ended
	asked   int             // number of builds that were asked for so far
	idle    chan struct{}   // closed when due becomes false
	url     string          // of the server; empty: it does not run now
	broken  bool            // it will not run before something is saved
	changed chan struct{}   // closed when url or broken changes
	serving *process        // the one at url

	running *process // belongs to the job
	sum     [sha256.Size]byte
}

// newServer prepares a server. Of the UI it embeds only the manifest: dev serves the
// files itself. built is called after each build, successful or not.
func newServer(root, work string, args []string, overlay *overlay, built func()) (*server, error) {
	s := &server{root: root, work: work, args: args, overlay: overlay, built: built, due: true, changed: make(chan struct{}), idle: make(chan struct{})}
	s.templs, s.goFiles, s.saveAt = map[string]bool{"": true}, true, time.Now()
	s.builds = newJob(s.rebuild)
	s.builds.request()

	manifest, err := json.Marshal(build.DevManifest)
	if err != nil {
		return nil, err
	}
	dist := filepath.Join(root, "web", "dist")
	replaced := map[string]string{filepath.Join(dist, web.ManifestName): filepath.Join(work, web.ManifestName)}
	for _, built := range []string{"assets", "lib"} {
		files, err := filepath.Glob(filepath.Join(dist, built, "*"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			replaced[file] = "" // as if the file did not exist
		}
	}
	replacements, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return nil, err
	}
	s.replaced = filepath.Join(work, "overlay.json")
	return s, errors.Join(
		os.WriteFile(filepath.Join(work, web.ManifestName), manifest, 0o600),
		os.WriteFile(s.replaced, replacements, 0o600),
	)
}

// run builds and runs servers until ctx ends. When it returns, none runs.
func (s *server) run(ctx context.Context) {
	s.life = ctx
	s.builds.run(ctx)
	s.serveAt("", true) // so that its end does not look like a crash
	s.running.stop()
}

// saved rebuilds the server if one of the files may be a part of it, and reports
// whether a build is due or running.
func (s *server) saved(changed []string) (building bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ours := false
	for _, name := range changed {
		if !ofServer(name) {
			continue
		}
		if !s.goFiles && len(s.templs) == 0 {
			s.saveAt = time.Now()
		}
		if ours = true; filepath.Ext(name) == ".templ" {
			s.templs[name] = true
		} else {
			s.goFiles = true
		}
	}
	if ours {
		s.ask()
	}
	return s.due
}

// ask requests a build. s.mu is held.
func (s *server) ask() {
	s.asked++
	if !s.due {
		s.due, s.idle = true, make(chan struct{})
	}
	s.builds.request()
}

// settled waits until no build is due or running, so that the generated files belong to
// the sources. It returns how many were asked for so far.
func (s *server) settled(ctx context.Context) (asked int, err error) {
	for {
		s.mu.Lock()
		due, idle, asked := s.due, s.idle, s.asked
		s.mu.Unlock()
		if !due {
			return asked, nil
		} else if err := wait(ctx, idle); err != nil {
			return 0, err
		}
	}
}

// stillSettled reports whether no build was asked for since settled returned asked.
func (s *server) stillSettled(asked int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked == asked
}

// rebuild builds the server and, if the binary has changed, replaces the running one.
func (s *server) rebuild(ctx context.Context) {
	s.mu.Lock()
	saveAt, asked := s.saveAt, s.asked
	s.mu.Unlock()
	binary, err := s.compile(ctx)
	if ctx.Err() != nil {
		return // another file was saved
	}
	if err == nil {
		err = s.replace(s.life, binary, saveAt) // a file that is saved meanwhile does not interrupt it
	}
	s.overlay.report(fromGo, err)
	if s.running.ended() {
		s.serveAt("", true)
	}
	s.mu.Lock()
	done := s.asked == asked // else the next build starts now
	if done && s.due {
		s.due = false
		close(s.idle)
	}
	s.mu.Unlock()
	if done {
		s.built()
	}
}

// compile runs the generators, builds, and returns the binary's path. The backend's
// generators write mostly for the page: they run beside the compiler, which runs once
// more if they did write Go files. If both fail, the error is the compiler's.
func (s *server) compile(ctx context.Context) (string, error) {
	s.mu.Lock()
	templs, goFiles := s.templs, s.goFiles
	s.templs, s.goFiles = map[string]bool{}, false
	s.mu.Unlock()

	generated := make(chan error, 1)
	err := s.templates(ctx, templs)
	go func() {
		if goFiles {
			generated <- s.goTool(ctx, "generate", "./backend/...")
		} else {
			generated <- nil
		}
	}()
	binary := filepath.Join(s.work, "next")
	build := func() error {
		return s.goTool(ctx, "build", "-buildvcs=false", "-pgo=off", "-trimpath", "-overlay", s.replaced, "-o", binary, ".")
	}
	before := s.generatedGo()
	failed := build()
	err = errors.Join(err, <-generated)
	if s.generatedGo() != before {
		failed = build()
	}
	if err != nil || failed != nil {
		s.mu.Lock() // they stay due until everything has worked
		defer s.mu.Unlock()
		for name := range templs {
			s.templs[name] = true
		}
		s.goFiles = s.goFiles || goFiles
	}
	if failed != nil {
		return "", failed
	}
	return binary, err
}

// generatedGo is a hash of the Go files that the backend's generators write.
func (s *server) generatedGo() string {
	var contents [][]byte
	files, _ := filepath.Glob(filepath.Join(s.root, "backend", "*", "*_gen.go")) // the pattern is right
	for _, file := range files {
		content, _ := os.ReadFile(file) // the compiler reports files that cannot be read
		contents = append(contents, content)
	}
	return tag(contents...)
}

// templates generates Go from the templates that were saved, or from all.
func (s *server) templates(ctx context.Context, templs map[string]bool) error {
	if templs[""] {
		return s.goTool(ctx, "generate", "./web/...")
	}
	var err error
	for name := range templs {
		if _, gone := os.Stat(filepath.Join(s.root, name)); gone != nil {
			continue // it was deleted
		}
		err = errors.Join(err, s.goTool(ctx, "tool", "templ", "generate", "-f", name))
	}
	return err
}

// goTool runs the go command. The error is its output.
func (s *server) goTool(ctx context.Context, args ...string) error {
	output, err := command(ctx, s.root, "go", args...)
	if err != nil {
		return complaint(err, output)
	}
	return nil
}

func complaint(err error, output string) error {
	if output == "" {
		return err
	}
	return errors.New(output)
}

// replace stops the running server and starts the binary. A binary that fails to print
// its version, for example because of a mistake in the registry, replaces nothing.
func (s *server) replace(ctx context.Context, binary string, saveAt time.Time) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	if sum == s.sum && !s.running.ended() {
		return nil
	}
	if output, err := command(ctx, s.root, binary, "-version"); err != nil {
		return complaint(err, output)
	}
	current := filepath.Join(s.work, "server")
	if err := os.Rename(binary, current); err != nil {
		return err
	}
	built := time.Since(saveAt)
	s.serveAt("", false)
	s.running.stop()
	p, err := start(ctx, s.root, current, s.args)
	if err != nil {
		return err
	}
	s.running, s.sum = p, sum
	s.mu.Lock()
	s.serving = p
	s.mu.Unlock()
	document, err := fetch(ctx, p.url)
	if err != nil {
		return err
	}
	s.serveAt(p.url, false)
	s.overlay.started(document)
	s.overlay.say("the server was built in %d ms and replaced in %d ms", built.Milliseconds(), (time.Since(saveAt) - built).Milliseconds())
	go func() {
		<-p.done
		s.gone(p)
	}()
	return nil
}

// kill ends the running server at once, as a crash or a power loss would, and starts
// another one. Requests wait meanwhile.
func (s *server) kill() {
	s.mu.Lock()
	p := s.serving
	running := s.url != ""
	s.mu.Unlock()
	if !running {
		return // one is being started
	}
	s.serveAt("", false)     // so that it does not count as crashed
	_ = p.cmd.Process.Kill() // an error means that it has ended
	<-p.done
	s.overlay.say("the page killed the server")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask()
}

// gone records that a server has ended: if it was not replaced, it crashed.
func (s *server) gone(p *process) {
	s.mu.Lock()
	crashed := s.url == p.url
	s.mu.Unlock()
	if crashed {
		s.serveAt("", true)
		s.overlay.report(fromGo, fmt.Errorf("the server crashed; it starts again when you save a file\n%s", p.tail()))
	}
}

// serveAt records the server's address, or whether to wait for one.
func (s *server) serveAt(url string, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url, s.broken = url, broken
	close(s.changed)
	s.changed = make(chan struct{})
}

// errBroken means that no server runs, and none will before something is saved.
var errBroken = errors.New("the server does not run: see the errors in the terminal")

// wait returns the server's address, and a channel that is closed when it changes. It
// waits for a server that is being started.
func (s *server) wait(ctx context.Context) (string, <-chan struct{}, error) {
	for {
		s.mu.Lock()
		url, broken, changed := s.url, s.broken, s.changed
		s.mu.Unlock()
		if url != "" {
			return url, changed, nil
		} else if broken {
			return "", nil, errBroken
		}
		if err := wait(ctx, changed); err != nil {
			return "", nil, err
		}
	}
}

// fetch returns a hash of the page that the server at url renders.
func fetch(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return "", err
	}
	r.Host = "localhost" // the page names its host, and each server has another port
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return tag(body), err
}

// process is a running server. A nil process has ended.
type process struct {
	cmd  *exec.Cmd
	url  string
	done chan struct{} // closed when the process has ended

	mu   sync.Mutex
	last bytes.Buffer // the end of its standard error
}

// listening matches the line in which a server prints its address.
var listening = regexp.MustCompile(`^\S+ is at (http://\S+)$`)

// start starts a server and returns once it listens.
func start(ctx context.Context, root, binary string, args []string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Dir = root
	p.cmd.Stderr = p
	child.OwnGroup(p.cmd, syscall.SIGTERM)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	listens := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				listens <- m[1]
			} else {
				fmt.Println(lines.Text())
			}
		}
		_ = p.cmd.Wait() // tail has the reason
		close(p.done)
	}()
	select {
	case p.url = <-listens:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("the server did not start\n%s", p.tail())
	case <-ctx.Done():
		p.stop()
		return nil, ctx.Err()
	}
}

// Write forwards the server's standard error and keeps its end.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last.Write(b)
	if over := p.last.Len() - 8<<10; over > 0 {
		p.last.Next(over)
	}
	return os.Stderr.Write(b)
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimSpace(p.last.String())
}

func (p *process) ended() bool {
	if p == nil {
		return true
	}
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop shuts a server down and waits for it.
func (p *process) stop() {
	if p.ended() {
		return
	}
	_ = child.Terminate(p.cmd) // an error means that the process has ended
	select {
	case <-p.done:
	case <-time.After(12 * time.Second): // a shutdown takes 10 s at most
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}
