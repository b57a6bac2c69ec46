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
	"time"

	"github.com/troupe-dev/troupe/web"
	"github.com/troupe-dev/troupe/web/build"
)

// server builds and runs the server of the project, and another one each time
// that it was changed.
type server struct {
	root    string
	work    string // for what is built
	args    []string
	board   *board
	builds  *job
	built   func()          // called when there is nothing more to build
	overlay string          // the file for go build -overlay
	life    context.Context // that of run

	mu      sync.Mutex
	templs  map[string]bool // which have been saved since the last generation
	goFiles bool            // whether Go files have
	saveAt  time.Time       // of the first of them
	due     bool            // whether any have since the last build ended
	url     string          // where the server is; empty: nowhere, for now
	broken  bool            // and it will not be before something is saved
	changed chan struct{}   // closed when url or broken changes

	running *process // belongs to the job
	sum     [sha256.Size]byte
}

// newServer prepares a server. What it embeds as the UI are the names alone: the
// files are the page's. built is called whenever it was built, or could not be.
func newServer(root, work string, args []string, board *board, built func()) (*server, error) {
	s := &server{root: root, work: work, args: args, board: board, built: built, due: true, changed: make(chan struct{})}
	s.templs, s.goFiles, s.saveAt = map[string]bool{"": true}, true, time.Now()
	s.builds = newJob(s.rebuild)
	s.builds.ask()

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
			replaced[file] = "" // as if it were not there
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return nil, err
	}
	s.overlay = filepath.Join(work, "overlay.json")
	return s, errors.Join(
		os.WriteFile(filepath.Join(work, web.ManifestName), manifest, 0o600),
		os.WriteFile(s.overlay, overlay, 0o600),
	)
}

// run builds and runs servers until ctx ends. When it returns none runs.
func (s *server) run(ctx context.Context) {
	s.life = ctx
	s.builds.run(ctx)
	s.serveAt("", true) // what ends now has not crashed
	s.running.stop()
}

// saved builds the server anew if one of the files may be of it, and reports whether
// it is being built.
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
		s.due = true
		s.builds.ask()
	}
	return s.due
}

// rebuild makes the server that the sources say, and lets it replace the one that
// runs, if it is another one.
func (s *server) rebuild(ctx context.Context) {
	s.mu.Lock()
	saveAt := s.saveAt
	s.mu.Unlock()
	binary, err := s.compile(ctx)
	if ctx.Err() != nil {
		return // somebody has saved another file
	}
	if err == nil {
		err = s.replace(s.life, binary, saveAt) // nothing saved meanwhile interrupts it
	}
	s.board.report(fromGo, err)
	if s.running.ended() {
		s.serveAt("", true)
	}
	s.mu.Lock()
	s.due = false
	s.mu.Unlock()
	s.built()
}

// compile generates what is generated, builds, and returns the binary's path. What
// the generators of the backend write is mostly for the page: they run beside the
// compiler, which runs once more if they did write Go files. If one fails because of
// what the compiler finds too, that is left to it.
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
		return s.goTool(ctx, "build", "-buildvcs=false", "-pgo=off", "-trimpath", "-overlay", s.overlay, "-o", binary, ".")
	}
	before := s.generatedGo()
	failed := build()
	err = errors.Join(err, <-generated)
	if s.generatedGo() != before {
		failed = build()
	}
	if err != nil || failed != nil {
		s.mu.Lock() // they are due until all of it worked
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

// generatedGo is another one when the generators of the backend have written Go.
func (s *server) generatedGo() string {
	var contents [][]byte
	files, _ := filepath.Glob(filepath.Join(s.root, "backend", "*", "*_gen.go")) // the pattern is right
	for _, file := range files {
		content, _ := os.ReadFile(file) // what cannot be read is missed by the compiler
		contents = append(contents, content)
	}
	return tag(contents...)
}

// templates generates Go of the templates that have been saved, or of all.
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

// goTool runs the go command. The error is what it has to complain about.
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

// replace runs the binary instead of the one that runs. One that cannot even say
// its version, say because of a mistake in the registry, replaces nothing.
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
	document, err := fetch(ctx, p.url)
	if err != nil {
		return err
	}
	s.serveAt(p.url, false)
	s.board.started(document)
	s.board.say("the server was built in %d ms and replaced in %d ms", built.Milliseconds(), (time.Since(saveAt) - built).Milliseconds())
	go func() {
		<-p.done
		s.gone(p)
	}()
	return nil
}

// gone notes that a server has ended: one that was not replaced has crashed.
func (s *server) gone(p *process) {
	s.mu.Lock()
	crashed := s.url == p.url
	s.mu.Unlock()
	if crashed {
		s.serveAt("", true)
		s.board.report(fromGo, fmt.Errorf("the server has ended by itself; the next one starts when something is saved\n%s", p.tail()))
	}
}

// serveAt notes where the server is, or whether to wait for one.
func (s *server) serveAt(url string, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url, s.broken = url, broken
	close(s.changed)
	s.changed = make(chan struct{})
}

// errBroken means that there is no server, nor will be before something is saved.
var errBroken = errors.New("there is no server: see what does not compile")

// wait returns where the server is, and what is closed when it is elsewhere. It
// waits for the one that is being started.
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

// fetch returns the page of the server at url.
func fetch(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return tag(body), err
}

// process is a server that runs. A nil one has ended.
type process struct {
	cmd  *exec.Cmd
	url  string
	done chan struct{} // closed when it has ended

	mu   sync.Mutex
	last bytes.Buffer // the end of what it has said
}

// listening is the line with which a server says where it listens.
var listening = regexp.MustCompile(`^\S+ is at (http://\S+)$`)

// start starts a server and returns once it listens.
func start(ctx context.Context, root, binary string, args []string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Dir = root
	p.cmd.Stderr = p
	ownGroup(p.cmd)
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
		_ = p.cmd.Wait() // how it ended is in what it has said
		close(p.done)
	}()
	select {
	case p.url = <-listens:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("the server does not start\n%s", p.tail())
	case <-ctx.Done():
		p.stop()
		return nil, ctx.Err()
	}
}

// Write passes on what the server says, and keeps the end of it.
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

// stop lets a server shut down, and waits for it.
func (p *process) stop() {
	if p.ended() {
		return
	}
	_ = terminate(p.cmd) // an error means that it has ended
	select {
	case <-p.done:
	case <-time.After(12 * time.Second): // a shutdown takes 10 s at most
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}
