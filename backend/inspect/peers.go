package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// clusterInfo is the cluster, as the API shows it.
type clusterInfo struct {
	Self    uint32     `json:"self"` // the slot of the node that answers
	Version uint64     `json:"version"`
	Nodes   []nodeInfo `json:"nodes"`
	Links   linkInfo   `json:"links"` // of the node that answers
}

type nodeInfo struct {
	Slot       uint32 `json:"slot"`
	Name       string `json:"name"`
	State      string `json:"state"`
	Partitions int    `json:"partitions"`
}

type linkInfo struct {
	In       int64 `json:"in"`
	Out      int64 `json:"out"`
	Unacked  int64 `json:"unacked"`
	Gaps     int64 `json:"gaps"`
	Repeated int64 `json:"repeated"`
	Ended    int64 `json:"ended"`
}

// cluster returns the cluster; nil if there is none.
func (i *Inspector) cluster() *clusterInfo {
	if i.o.Peers == nil {
		return nil
	}
	c := i.o.Peers.Nodes()
	shown := &clusterInfo{Self: c.Self, Version: c.Version, Nodes: []nodeInfo{}, Links: linkInfo(c.Links)}
	for _, n := range c.Nodes {
		shown.Nodes = append(shown.Nodes, nodeInfo(n))
	}
	return shown
}

func (i *Inspector) getCluster(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, struct {
		Cluster *clusterInfo `json:"cluster,omitempty"`
	}{i.cluster()})
}

// elsewhere takes requests that other nodes have to answer there: those for one node have its
// slot as node, and those for an actor go to its owner.
func (i *Inspector) elsewhere(next http.Handler) http.Handler {
	if i.o.Peers == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slot, err := i.slotFor(r)
		switch {
		case err != nil:
			i.fail(w, err)
		case slot == 0:
			next.ServeHTTP(w, r)
		case r.Method == http.MethodPost && !i.o.Write:
			lookOnly(next).ServeHTTP(w, r)
		case r.Method == http.MethodPost:
			jsonOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.pass(w, r, slot) })).ServeHTTP(w, r)
		default:
			i.pass(w, r, slot)
		}
	})
}

// slotFor returns the slot of the node that has to answer a request; 0 if it is this one.
func (i *Inspector) slotFor(r *http.Request) (uint32, error) {
	_, self := i.o.Peers.Owner(0)
	q := r.URL.Query()
	if text := q.Get("node"); text != "" {
		slot, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return 0, host.Faultf(wire.CodeInvalidInput, "node: want the slot of a node, which the overview has")
		}
		return other(uint32(slot), self), nil
	}
	id := ""
	if path := apiPath(r); path == "/stream" {
		id = q.Get("id")
	} else if rest, ok := strings.CutPrefix(path, "/actors/"); ok {
		id, _, _ = strings.Cut(rest, "/")
	}
	if id == "" {
		return 0, nil
	}
	owner, self := i.o.Peers.Owner(store.Partition(id))
	if owner == 0 {
		return 0, host.Faultf(wire.CodeUnavailable, "the actor has no owner at the moment: try again")
	}
	return other(owner, self), nil
}

func other(slot, self uint32) uint32 {
	if slot == self {
		return 0
	}
	return slot
}

// apiPath returns the path of a request below the API.
func apiPath(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, Path+"/api") }

// pass has another node answer a request.
func (i *Inspector) pass(w http.ResponseWriter, r *http.Request, slot uint32) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, http.StatusRequestEntityTooLarge, wire.CodeTooLarge, "the request is too large")
		return
	}
	target := apiPath(r)
	if q := r.URL.Query(); len(q) > 0 {
		q.Del("node")
		target += "?" + q.Encode()
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stop := context.AfterFunc(i.life, cancel)
	defer stop()
	answer := &relay{full: cancel, more: make(chan struct{}, 1)}
	done := make(chan error, 1)
	go func() {
		done <- i.o.Peers.Inspect(ctx, slot, host.InspectRequest{Method: r.Method, Target: target, From: forwarded.Client(r).String(), Body: body}, answer.add)
	}()
	e := &events{w: w}
	begun := false
	for ended := false; !ended; {
		select {
		case <-answer.more:
		case err = <-done:
			ended = true
		}
		part := answer.take()
		if len(part) == 0 {
			continue
		}
		if !begun {
			line, rest, _ := bytes.Cut(part, []byte{'\n'}) // it comes in one piece
			var head answerHead
			if err := json.Unmarshal(line, &head); err != nil {
				i.fail(w, err)
				return
			}
			w.Header().Set("Content-Type", head.Type)
			w.WriteHeader(head.Status)
			begun, part = true, rest
		}
		for piece := range slices.Chunk(part, answerBytes) { // each has its own time
			if e.write(string(piece)) != nil {
				return // the client is gone
			}
		}
	}
	switch {
	case err != nil && begun:
		panic(http.ErrAbortHandler) // what there is of the answer must not look like all of it
	case err != nil:
		i.fail(w, err)
	}
}

// maxRelayed is how many bytes of an answer may wait for a slow client.
const maxRelayed = wholeState + 16<<20

// relay keeps what has arrived of an answer until it is sent on.
type relay struct {
	full func()        // called when too much waits
	more chan struct{} // has room for one

	mu      sync.Mutex
	waiting []byte
}

func (a *relay) add(part []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting)+len(part) > maxRelayed {
		a.full()
		return
	}
	a.waiting = append(a.waiting, part...)
	select {
	case a.more <- struct{}{}:
	default:
	}
}

func (a *relay) take() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	part := a.waiting
	a.waiting = nil
	return part
}

// answerHead is the first line of an answer between nodes.
type answerHead struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
}

// ServeInspect implements host.InspectServer. The other node has checked the access.
func (i *Inspector) ServeInspect(ctx context.Context, q host.InspectRequest, write func(context.Context, []byte) error) (err error) {
	defer func() {
		if v := recover(); v != nil { // net/http does that for a request of a client
			i.log.Error("inspector: a request of another node panicked", "target", q.Target, "panic", v, "stack", string(debug.Stack()))
			err = host.Faultf(wire.CodeInternal, "internal error; see the server log")
		}
	}()
	r, err := http.NewRequestWithContext(ctx, q.Method, q.Target, bytes.NewReader(q.Body))
	if err != nil {
		return host.Faultf(wire.CodeMalformed, "%v", err)
	}
	r.Header.Set("Content-Type", "application/json")
	if from, err := netip.ParseAddr(q.From); err == nil {
		r.RemoteAddr = netip.AddrPortFrom(from, 0).String()
	}
	w := &answerWriter{ctx: ctx, write: write, header: http.Header{}}
	i.api.ServeHTTP(w, r)
	return w.flush()
}

// answerWriter is an http.ResponseWriter whose answer goes to another node.
type answerWriter struct {
	ctx    context.Context
	write  func(context.Context, []byte) error
	header http.Header
	begun  bool
	buffer []byte
	err    error
}

// answerBytes is how many bytes of an answer go in one piece.
const answerBytes = 64 << 10

func (w *answerWriter) Header() http.Header { return w.header }

func (w *answerWriter) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	head, _ := json.Marshal(answerHead{status, w.header.Get("Content-Type")}) // it does not fail
	w.buffer = append(append(w.buffer, head...), '\n')
}

func (w *answerWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	n := len(b)
	for len(b) > 0 && w.err == nil {
		room := min(len(b), answerBytes-len(w.buffer))
		w.buffer = append(w.buffer, b[:room]...)
		if b = b[room:]; len(w.buffer) == answerBytes {
			_ = w.flush() // w.err keeps it
		}
	}
	return n, w.err
}

// FlushError is what http.ResponseController calls.
func (w *answerWriter) FlushError() error { return w.flush() }

func (w *answerWriter) flush() error {
	if w.err == nil && len(w.buffer) > 0 {
		w.err = w.write(w.ctx, w.buffer)
		w.buffer = w.buffer[:0]
	}
	return w.err
}
