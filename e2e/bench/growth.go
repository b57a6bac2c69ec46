package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Scenarios NAME@N that show how the cost of one unit of work grows with N. They need the
// actors of servers/troupe; only resume works with other peers, too.
var growths = map[string]func(*Server, Peer, Params) Result{
	"connections": connections, "channels": channels, "targeted": targeted, "where": where,
	"actors": actors, "state": state, "list": list, "log": logLength, "resume": resume,
}

// connections: a broadcast to N, by an actor without state.
func connections(s *Server, p Peer, pr Params) Result {
	p.Dialect = troupeDialect{actor: "crowd", action: "say"}
	return fanout(s, p, pr, 0)
}

// targeted: N sends to one connection each, in place of a broadcast.
func targeted(s *Server, p Peer, pr Params) Result {
	p.Dialect = troupeDialect{actor: "crowd", action: "sayEach"}
	return fanout(s, p, pr, 0)
}

// where: a broadcast to N of 1,000, chosen by a function.
func where(s *Server, p Peer, pr Params) Result {
	p.Dialect = troupeDialect{actor: "crowd", action: "sayTo", to: pr.N}
	pr.Reach, pr.N = pr.N, 1000
	return fanout(s, p, pr, 0)
}

// channels: a broadcast to 5,000 connections, N of them on each socket.
func channels(s *Server, p Peer, pr Params) Result {
	const total = 5000
	p.Dialect = troupeDialect{actor: "crowd", action: "say", channels: pr.N}
	pr.N, pr.Reach = total/pr.N, total
	return fanout(s, p, pr, 0)
}

// actors: calls to N actors in rotation, over 200 sockets; then they become idle and
// leave memory.
func actors(s *Server, p Peer, pr Params) (r Result) {
	const sockets = 200
	d := troupeDialect{actor: "shelf", channels: max(1, pr.N/sockets), apart: true}
	p.Dialect = d
	r.M = map[string]float64{}
	l, err := NewLoop(d)
	if err != nil {
		return Result{Err: err.Error()}
	}
	defer l.Close()
	base := live(p)
	room := func(i int) string { return "actor" + strconv.Itoa(i%min(pr.N, sockets)) }
	conns, err := joinAll(l, p, sockets, room, pr)
	if err != nil {
		return Result{Err: err.Error()}
	}
	callers := make([]caller, 0, sockets*d.channels)
	for ch := 1; ch <= d.channels; ch++ {
		for _, c := range conns {
			callers = append(callers, caller{c, ch})
		}
	}
	callAll(&r, s, l, callers, "put", quote(user)+`,"hello to everyone here"`, 64, pr)
	if pr.N < 1000 { // too few to be seen in the server's memory
		return r
	}
	r.M["live_kb_per_awake_actor"] = (live(p) - base) / 1e3 / float64(pr.N)
	for ch := 1; ch <= d.channels; ch++ {
		for _, c := range conns {
			if err := c.sendText(`{"t":"close","c":` + strconv.Itoa(ch) + `}`); err != nil {
				r.Err = err.Error()
			}
		}
	}
	asleep := live(p) // until it has not shrunk for longer than an idle actor stays in memory
	for same := 0; same < 4; same++ {
		time.Sleep(time.Second)
		if now := live(p); now < 0.99*asleep {
			asleep, same = now, 0
		}
	}
	r.M["live_kb_per_sleeping_actor"] = (asleep - base) / 1e3 / float64(pr.N)
	return r
}

// state: calls that change one message of N bytes of state in a plain field.
func state(s *Server, p Peer, pr Params) Result { return filled(s, p, pr, "shelf") }

// list: the same with an actor.List.
func list(s *Server, p Peer, pr Params) Result { return filled(s, p, pr, "shelves") }

func filled(s *Server, p Peer, pr Params, actor string) Result {
	return alone(s, p, pr, actor, "put", func(c *Conn, l *Loop) error {
		var fail error
		done := false
		l.OnItem = func(_ *Conn, k Kind, _ uint32, b []byte) {
			if k == Failed {
				fail = fmt.Errorf("fill: %s", b)
			}
			done = true
		}
		if err := c.Send(opText, troupeDialect{}.call(1, 1, "fill", strconv.Itoa(pr.N))); err != nil {
			return err
		}
		for !done && l.Lost == 0 {
			l.Poll(5 * time.Millisecond)
		}
		return fail
	})
}

// logLength: calls that broadcast, with N entries in the log before them.
func logLength(s *Server, p Peer, pr Params) Result {
	return alone(s, p, pr, "crowd", "say", func(c *Conn, l *Loop) error {
		return publish(c, l, troupeDialect{action: "say"}, 1, pr.N)
	})
}

// alone measures calls of one prepared connection, 8 of them in flight.
func alone(s *Server, p Peer, pr Params, actor, action string, prepare func(*Conn, *Loop) error) (r Result) {
	p.Dialect = troupeDialect{actor: actor}
	r.M = map[string]float64{}
	l, err := NewLoop(p.Dialect)
	if err != nil {
		return Result{Err: err.Error()}
	}
	defer l.Close()
	conns, err := joinAll(l, p, 1, general, pr)
	if err != nil {
		return Result{Err: err.Error()}
	}
	if err := prepare(conns[0], l); err != nil {
		return Result{Err: err.Error()}
	}
	conns[0].CallID = uint32(pr.N) + 1
	callAll(&r, s, l, []caller{{conns[0], 1}}, action, quote(user)+`,"hello to everyone here"`, 8, pr)
	return r
}

// caller is one connection: a channel of a socket.
type caller struct {
	c  *Conn
	ch int
}

// callAll measures calls of the callers in rotation, with a number of calls in flight.
func callAll(r *Result, s *Server, l *Loop, callers []caller, action, args string, inFlight int, pr Params) {
	var sent, done, failed int64
	first := callers[0].c.CallID
	call := func() {
		to := callers[sent%int64(len(callers))]
		sent++
		if err := to.c.Send(opText, troupeDialect{}.call(to.ch, first+uint32(sent), action, args)); err != nil {
			r.Err = err.Error()
		}
	}
	stop := false
	l.OnItem = func(_ *Conn, k Kind, _ uint32, b []byte) {
		if k == Failed {
			failed++
			r.Note = fmt.Sprintf("%.120s", b)
		}
		if k == Reply || k == Failed {
			if done++; !stop {
				call()
			}
		}
	}
	for range inFlight {
		call()
	}
	run := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end) && r.Err == ""; {
			if l.Poll(5 * time.Millisecond); l.Lost > 0 {
				r.Err = fmt.Sprintf("%d connections closed by the server: %v", l.Lost, l.LastEr)
			}
		}
	}
	for run(pr.Warm); done < int64(len(callers)) && r.Err == ""; { // the first call of an actor costs more
		run(100 * time.Millisecond)
	}
	w, before := begin(s, l), done
	run(pr.Dur)
	cpu, sec := w.end(r)
	n := float64(done - before)
	r.M["actions_per_s"], r.M["failed_calls"] = n/sec, float64(failed)
	if n == 0 {
		r.Err = "no call was answered"
		return
	}
	r.M["server_cpu_us_per_action"] = cpu / n * 1e6
	stop = true
	for done < sent && r.Err == "" {
		run(5 * time.Millisecond)
	}
}

// publish makes n broadcasts with call ids from id on.
func publish(c *Conn, l *Loop, d Dialect, id uint32, n int) (err error) {
	sent, done := 0, 0
	call := func() {
		op, m := d.Call(c, id, user, text(now()))
		id++
		sent++
		if e := c.Send(op, m); e != nil {
			err = e
		}
	}
	l.OnItem = func(_ *Conn, k Kind, _ uint32, b []byte) {
		switch k {
		case Failed:
			err = fmt.Errorf("publish: %s", b)
		case Reply:
			if done++; sent < n {
				call()
			}
		}
	}
	for sent < min(n, 32) {
		call()
	}
	for done < n && err == nil {
		if l.Poll(5 * time.Millisecond); l.Lost > 0 {
			err = fmt.Errorf("closed by the server: %w", l.LastEr)
		}
	}
	return err
}

// resume: connections (1,000, fewer if N is large) are cut off, miss N events and resume.
// The cost of a resume without missed events is subtracted.
func resume(s *Server, p Peer, pr Params) (r Result) {
	missed := pr.N
	pr.N = min(1000, max(4, 1_000_000/missed))
	cycles := min(5, max(1, 1_000_000/missed/pr.N))
	if _, ok := p.Dialect.(troupeDialect); ok {
		p.Dialect = troupeDialect{actor: "crowd", action: "say"}
	}
	d := p.Dialect.(Resumer)
	r.M = map[string]float64{"connections": float64(pr.N)}
	l, err := NewLoop(d)
	if err != nil {
		return Result{Err: err.Error()}
	}
	defer l.Close()
	conns, err := joinAll(l, p, pr.N+1, general, pr)
	if err != nil {
		return Result{Err: err.Error()}
	}
	talker, conns := conns[pr.N], conns[:pr.N]
	cut := func() {
		for _, c := range conns {
			l.byFD[c.fd] = nil
			c.Close()
		}
		time.Sleep(300 * time.Millisecond) // until the server has noticed
	}
	// back resumes all and returns the server's CPU seconds.
	back := func(events int) (float64, error) {
		at, got := 0, 0
		l.OnItem = func(_ *Conn, k Kind, _ uint32, _ []byte) {
			switch k {
			case At:
				at++
			case Event:
				got++
			}
		}
		pids := s.pids()
		before := usage(pids).CPU
		for i, c := range conns {
			if err := d.Resume(c, p.Addr, "general"); err != nil {
				return 0, err
			}
			if err := l.Add(c); err != nil {
				return 0, err
			}
			if i%16 == 0 {
				l.Poll(0)
			}
		}
		for end := time.Now().Add(30 * time.Second); got < events || at < len(conns); {
			l.Poll(5 * time.Millisecond)
			if l.Lost > 0 || time.Now().After(end) {
				return 0, fmt.Errorf("%d of %d events, %d of %d connections back, %d lost: %v", got, events, at, len(conns), l.Lost, l.LastEr)
			}
		}
		if got != events {
			return 0, fmt.Errorf("%d events in place of %d", got, events)
		}
		return usage(pids).CPU - before, nil
	}
	var empty, full float64
	id := uint32(1)
	w := begin(s, l)
	for range cycles {
		cut()
		cpu, err := back(0)
		if err != nil {
			return Result{Err: err.Error()}
		}
		empty += cpu
		cut()
		if err := publish(talker, l, d, id, missed); err != nil {
			return Result{Err: err.Error()}
		}
		id += uint32(missed)
		if cpu, err = back(missed * len(conns)); err != nil {
			return Result{Err: err.Error()}
		}
		full += cpu
	}
	w.end(&r)
	n := float64(cycles * len(conns))
	r.M["server_cpu_us_per_empty_resume"] = empty / n * 1e6
	r.M["server_cpu_us_per_resume"] = full / n * 1e6
	r.M["server_cpu_us_per_event"] = max(0, full-empty) / n / float64(missed) * 1e6
	return r
}

// live returns the server's live memory in bytes; 0 if it does not report it.
func live(p Peer) float64 {
	res, err := http.Get("http://" + p.Addr + "/memory")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	v, _ := strconv.ParseFloat(string(b), 64)
	return v
}

func knows(p Peer, kind string) bool {
	_, growth := growths[kind]
	_, troupe := p.Dialect.(troupeDialect)
	return !growth || troupe || kind == "resume" && slices.Contains(p.Cmd, "-recovery")
}
