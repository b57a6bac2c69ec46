package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// state is what pages are told: all of it, each time. A page compares it with
// what it has, so that it does not matter what it missed.
type state struct {
	Script   string    `json:"script"`   // another one: load the page anew
	Style    string    `json:"style"`    // another one: load the style anew
	Server   int       `json:"server"`   // how many servers there were: connect to the new one
	Problems []problem `json:"problems"` // what does not compile
}

// problem is what a step has to complain about.
type problem struct {
	From string `json:"from"` // one of steps
	Text string `json:"text"`
}

// The steps that find problems.
const (
	fromGo    = "Go"
	fromPage  = "esbuild"
	fromTypes = "TypeScript"
)

// board has the state, and those who listen to it. It is safe for concurrent use.
type board struct {
	say func(format string, args ...any)

	mu       sync.Mutex
	script   string // of the files of the app
	document string // of the page around it
	state    state
	changed  chan struct{} // closed by the next change
}

func newBoard(say func(string, ...any)) *board {
	return &board{say: say, changed: make(chan struct{}), state: state{Problems: []problem{}}}
}

// change changes the state, and tells everybody.
func (b *board) change(change func(s *state)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.state)
	b.state.Script = tag([]byte(b.script), []byte(b.document))
	close(b.changed)
	b.changed = make(chan struct{})
}

// built notes what the app consists of now.
func (b *board) built(script, style string) {
	b.change(func(s *state) { b.script, s.Style = script, style })
}

// started notes that there is another server, and what its page is.
func (b *board) started(document string) {
	b.change(func(s *state) {
		b.document = document
		s.Server++
	})
}

// report says what a step has to complain about: nothing, if err is nil.
func (b *board) report(from string, err error) {
	if err != nil {
		b.say("%s:\n%s", from, err)
	}
	b.change(func(s *state) {
		had := len(s.Problems)
		s.Problems = slices.DeleteFunc(slices.Clone(s.Problems), func(p problem) bool { return p.From == from })
		if err != nil {
			s.Problems = append(s.Problems, problem{from, err.Error()})
		} else if len(s.Problems) < had {
			b.say("%s: mended", from)
		}
	})
}

// get returns the state, and what is closed when it is no longer that.
func (b *board) get() (state, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.changed
}

// ServeHTTP is the stream of states, as server-sent events.
func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		now, changed := b.get()
		data, err := json.Marshal(now)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if _, err := fmt.Fprintf(w, "retry: 300\ndata: %s\n\n", data); err != nil {
			return // the page is gone
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// inject puts the script that listens into a page, with the state that the page
// is of.
func (b *board) inject(html string) string {
	now, _ := b.get()
	script := fmt.Sprintf(`<script src=%q data-script=%q data-style=%q></script>`, clientPath, now.Script, now.Style)
	head, rest, found := strings.Cut(html, "<head>")
	if !found {
		return script + html
	}
	return head + "<head>" + script + rest
}

// tag is short, and another one for other contents.
func tag(contents ...[]byte) string {
	h := sha256.New()
	for _, content := range contents {
		fmt.Fprintf(h, "%d:", len(content))
		h.Write(content)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}
