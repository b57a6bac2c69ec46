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

// state is sent to pages, whole, at each change. A page compares it with its own, so
// it does not matter which changes it missed.
type state struct {
	Script   string    `json:"script"`   // if it differs: reload the page
	Style    string    `json:"style"`    // if it differs: reload the style sheet
	Server   int       `json:"server"`   // number of servers so far; if it differs: reconnect
	Problems []problem `json:"problems"` // compiler errors
}

// problem is an error of one step.
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

// overlay holds the state and streams it to open pages, which show its problems over
// their content. It is safe for concurrent use.
type overlay struct {
	say func(format string, args ...any)

	mu       sync.Mutex
	script   string // of the files of the app
	document string // of the page that the server renders
	state    state
	changed  chan struct{} // closed by the next change
}

func newOverlay(say func(string, ...any)) *overlay {
	return &overlay{say: say, changed: make(chan struct{}), state: state{Problems: []problem{}}}
}

// change changes the state and wakes all streams.
func (o *overlay) change(change func(s *state)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(&o.state)
	o.state.Script = tag([]byte(o.script), []byte(o.document))
	close(o.changed)
	o.changed = make(chan struct{})
}

// built records a new build of the app.
func (o *overlay) built(script, style string) {
	o.change(func(s *state) { o.script, s.Style = script, style })
}

// started records that a new server runs, and the page that it renders.
func (o *overlay) started(document string) {
	o.change(func(s *state) {
		o.document = document
		s.Server++
	})
}

// report sets or, with a nil err, clears the problem of a step.
func (o *overlay) report(from string, err error) {
	if err != nil {
		o.say("%s:\n%s", from, err)
	}
	o.change(func(s *state) {
		had := len(s.Problems)
		s.Problems = slices.DeleteFunc(slices.Clone(s.Problems), func(p problem) bool { return p.From == from })
		if err != nil {
			s.Problems = append(s.Problems, problem{from, err.Error()})
		} else if len(s.Problems) < had {
			o.say("%s: fixed", from)
		}
	})
}

// get returns the state, and a channel that is closed by the next change.
func (o *overlay) get() (state, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state, o.changed
}

// ServeHTTP streams states as server-sent events.
func (o *overlay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		now, changed := o.get()
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

// inject adds the client script to a page, with the state that the page was built from.
func (o *overlay) inject(html string) string {
	now, _ := o.get()
	script := fmt.Sprintf(`<script src=%q data-script=%q data-style=%q></script>`, clientPath, now.Script, now.Style)
	head, rest, found := strings.Cut(html, "<head>")
	if !found {
		return script + html
	}
	return head + "<head>" + script + rest
}

// tag returns a short hash of the contents.
func tag(contents ...[]byte) string {
	h := sha256.New()
	for _, content := range contents {
		fmt.Fprintf(h, "%d:", len(content))
		h.Write(content)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}
