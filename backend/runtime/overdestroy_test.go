package runtime_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// seeds is how many random runs a test makes.
const seeds = 150

// TestG5_CallsOverDestroy: clients call, go offline and come back with what is unanswered,
// while the actor is destroyed, begins new lives, and its server is killed. Each call runs at
// most once, in the life to which its client belonged, and what the client hears of it is true.
func TestG5_CallsOverDestroy(t *testing.T) {
	for seed := range uint64(seeds) {
		inBubble(t, func(t *testing.T) {
			cryptHooks("")
			w := &overDestroy{b: newBench(t, memory.New(memory.Options{}), marked), r: rand.New(rand.NewPCG(seed, 1))}
			for i := range 3 {
				w.clients = append(w.clients, &marksClient{name: fmt.Sprint("client", i)})
			}
			runsOfMarks.reset()
			for range 60 {
				w.step()
			}
			w.check(seed)
		})
	}
}

type overDestroy struct {
	b       *bench
	r       *rand.Rand
	clients []*marksClient
}

// marksClient is a client as clientjs is one: it repeats what is unanswered when it
// resumes, and settles by h when it hears the end.
type marksClient struct {
	name       string
	reader     *reader
	req        host.OpenRequest
	online     bool
	seen       int
	calls      uint64
	unanswered []uint64
	life       int               // counts its connections to lives
	lives      map[uint64]int    // in which of them it made a call
	outcome    map[uint64]string // of its calls
}

func (w *overDestroy) step() {
	c := w.clients[w.r.IntN(len(w.clients))]
	switch w.r.IntN(12) {
	case 0:
		w.b.restart()
		for _, c := range w.clients {
			c.online = false
		}
	case 1, 2:
		if c.online {
			w.b.node.Detach(marksRef, c.req.Attachment)
			c.online = false // what it has not read is lost
		}
	case 3:
		w.call(c, "end")
	case 4:
		time.Sleep(time.Duration(w.r.IntN(100)) * time.Second)
	default:
		w.call(c, "mark")
	}
	if w.r.IntN(3) > 0 {
		w.read(c)
	}
}

func (w *overDestroy) call(c *marksClient, action string) {
	if !c.online {
		w.open(c)
	}
	if !c.online {
		return
	}
	c.calls++
	if c.lives == nil {
		c.lives, c.outcome = map[uint64]int{}, map[uint64]string{}
	}
	c.lives[c.calls] = c.life
	c.unanswered = append(c.unanswered, c.calls)
	w.send(c, c.calls, action)
}

func (w *overDestroy) send(c *marksClient, id uint64, action string) {
	err := w.b.node.Call(marksRef, host.CallRequest{
		Attachment: c.req.Attachment, Conn: c.name, ID: id, Action: action,
		Args: []json.RawMessage{json.RawMessage(fmt.Sprintf(`"%s/%d/%d"`, c.name, c.lives[id], id))},
	})
	if err != nil {
		w.b.t.Fatal(err)
	}
	if actionsOfMarks[c.name] == nil {
		actionsOfMarks[c.name] = map[uint64]string{}
	}
	actionsOfMarks[c.name][id] = action
}

// actionsOfMarks are the actions of the calls, to repeat them.
var actionsOfMarks = map[string]map[uint64]string{}

func (w *overDestroy) open(c *marksClient) {
	req := as(c.name)
	if c.req.Log != "" {
		req.Resume, req.Log, req.Seq = true, c.req.Log, c.req.Seq
	}
	c.reader = w.b.open(marksRef, req)
	c.req.Attachment, c.seen = c.reader.req.Attachment, 0
	c.online = true
	w.read(c)
	if !c.online {
		return
	}
	for _, id := range c.unanswered {
		w.send(c, id, actionsOfMarks[c.name][id])
	}
}

func (w *overDestroy) read(c *marksClient) {
	if !c.online {
		return
	}
	for _, o := range c.reader.read()[c.seen:] {
		c.seen++
		c.req.Seq = max(c.req.Seq, o.Seq)
		switch o.Kind {
		case host.OutputOpened:
			if c.req.Log != o.Opened.Log {
				c.life++
				if c.req.Log != "" {
					w.b.t.Errorf("%s came into another life without hearing of the end", c.name)
				}
			}
			c.req.Log, c.req.Seq = o.Opened.Log, o.Opened.Start
		case host.OutputReply, host.OutputFail:
			c.settle(o.Call, kinds([]*host.Output{o}))
		case host.OutputClosed:
			c.online = false
			if o.Err.Code != "destroyed" {
				continue
			}
			for _, id := range append([]uint64(nil), c.unanswered...) {
				if o.Err.Highest == nil {
					w.b.t.Errorf("%s heard the end without h", c.name)
				} else if id <= *o.Err.Highest {
					c.settle(id, "ran")
				} else {
					c.settle(id, "did not run")
				}
			}
			c.req.Log, c.req.Seq = "", 0
		}
	}
}

func (c *marksClient) settle(id uint64, outcome string) {
	for i, u := range c.unanswered {
		if u == id {
			c.unanswered = append(c.unanswered[:i:i], c.unanswered[i+1:]...)
			c.outcome[id] = outcome
		}
	}
}

func (w *overDestroy) check(seed uint64) {
	for _, c := range w.clients {
		w.read(c)
		for range 3 { // until everything is settled
			if len(c.unanswered) > 0 {
				w.open(c)
				w.read(c)
			}
		}
		if len(c.unanswered) > 0 {
			w.b.t.Errorf("seed %d: %s has no outcome of %v", seed, c.name, c.unanswered)
		}
		for id, outcome := range c.outcome {
			runs := runsOfMarks.of(fmt.Sprintf("%s/%d/%d", c.name, c.lives[id], id))
			want := 1
			if outcome == "did not run" {
				want = 0
			}
			if again := runs > want && changesNothing(id); runs != want && !again {
				w.b.t.Errorf("seed %d: call %d of %s ran %d times, and its client has heard: %s", seed, id, c.name, runs, outcome)
			}
		}
	}
}

// marks counts calls outside of its state.
type marks struct {
	Marks []string `json:"marks"`
}

var runsOfMarks markRuns

type markRuns struct {
	mu   sync.Mutex
	runs []string
}

func (r *markRuns) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = nil
	clear(actionsOfMarks)
}

func (r *markRuns) add(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = append(r.runs, what)
}

func (r *markRuns) of(what string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, run := range r.runs {
		if run == what {
			n++
		}
	}
	return n
}

// changesNothing says of which calls: no commit has them, so they may run again after a
// restart, and their clients may hear that they did not run.
func changesNothing(id uint64) bool { return id%4 == 3 }

func (m *marks) Mark(_ *actor.Context[actor.NoState], what string) int {
	runsOfMarks.add(what)
	var id uint64
	if _, err := fmt.Sscan(what[strings.LastIndex(what, "/")+1:], &id); err != nil || changesNothing(id) {
		return 0
	}
	m.Marks = append(m.Marks, what)
	return len(m.Marks)
}

func (m *marks) End(c *actor.Context[actor.NoState], what string) {
	runsOfMarks.add(what)
	c.Destroy()
}

var (
	marked   = actor.NewRegistry(actor.Define[marks]("marks"))
	marksRef = host.Ref{Name: "marks", Key: host.Key{"a"}}
)
