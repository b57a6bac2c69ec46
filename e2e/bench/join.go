package main

import (
	"fmt"
	"strconv"
	"sync"
	"time"
)

// Rooms of connections: one for all of them, or one each.
func general(int) string { return "general" }
func own(i int) string   { return "r" + strconv.Itoa(i) }

// joinAll joins n connections, room(i) each, with a few dialers.
func joinAll(l *Loop, p Peer, n int, room func(int) string, pr Params) ([]*Conn, error) {
	if l.OnItem == nil {
		l.OnItem = func(*Conn, Kind, uint32, []byte) {}
	}
	conns := make([]*Conn, n)
	first := &Conn{Room: room(0)} // alone, as it creates the room if they share one
	if err := p.Dialect.Join(first, p.Addr, first.Room); err != nil {
		first.Close()
		return nil, fmt.Errorf("first join: %w", err)
	}
	conns[0] = first
	if err := l.Add(first); err != nil {
		return nil, err
	}
	todo, ready, fail := make(chan int), make(chan *Conn, n), make(chan error, n)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range pr.Dialers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range todo {
				c := &Conn{Index: i, Room: room(i)}
				if err := p.Dialect.Join(c, p.Addr, c.Room); err != nil {
					c.Close()
					fail <- fmt.Errorf("join %d: %w", i, err)
					return
				}
				ready <- c
			}
		}()
	}
	go func() {
		defer close(todo)
		for i := 1; i < n; i++ {
			select {
			case todo <- i:
			case <-stop:
				return
			}
		}
	}()
	defer func() {
		close(stop)
		go func() { wg.Wait() }()
	}()
	deadline := time.Now().Add(pr.JoinTimeout)
	for have := 1; have < n; {
		select {
		case c := <-ready:
			conns[c.Index] = c
			if err := l.Add(c); err != nil {
				return nil, err
			}
			have++
		case err := <-fail:
			return nil, fmt.Errorf("%w (%d joined)", err, have)
		case <-time.After(time.Millisecond):
		}
		if have%64 == 0 {
			l.Poll(0)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("only %d of %d joined in %v", have, n, pr.JoinTimeout)
		}
	}
	return conns, nil
}
