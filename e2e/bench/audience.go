package main

import (
	"errors"
	"fmt"
	"time"
)

// audience is the connections of one room, the first of which publishes, with counts of
// what they have received.
type audience struct {
	p       Peer
	l       *Loop
	conns   []*Conn
	reach   int64 // deliveries of one message
	onEvent func(c *Conn, body []byte)

	id                         uint32 // of the last call
	sent, got, replies, failed int64
}

func (a *audience) onItem(c *Conn, k Kind, _ uint32, body []byte) {
	switch k {
	case Event:
		a.got++
		c.Events++
		a.onEvent(c, body)
	case Reply:
		a.replies++
	case Failed:
		a.failed++
	}
}

// send publishes a message that carries a send time.
func (a *audience) send(at int64) error {
	a.id++
	a.sent++
	op, m := a.p.Dialect.Call(a.conns[0], a.id, user, text(at))
	if err := a.conns[0].Send(op, m); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// fill publishes until window messages are not yet delivered to everyone.
func (a *audience) fill(window int) error {
	for a.sent-min(a.replies, a.got/a.reach) < int64(window) {
		if err := a.send(now()); err != nil {
			return err
		}
	}
	return nil
}

// probe waits until a message reaches everyone, as some protocols do not confirm
// subscriptions. Counting starts after it.
func (a *audience) probe() error {
	a.l.OnItem = a.onItem
	defer a.reset()
	for range 4 {
		a.reset()
		if err := a.send(now()); err != nil {
			return err
		}
		for end := time.Now().Add(15 * time.Second); time.Now().Before(end); {
			a.l.Poll(5 * time.Millisecond)
			reached := 0
			for _, c := range a.conns {
				if c.Events > 0 {
					reached++
				}
			}
			if a.got >= a.reach && reached >= min(int(a.reach), len(a.conns)) {
				a.l.Poll(20 * time.Millisecond)
				return nil
			}
		}
	}
	return errors.New("no message reached everyone")
}

func (a *audience) reset() {
	a.sent, a.got, a.replies, a.failed = 0, 0, 0, 0
	for _, c := range a.conns {
		c.Events = 0
	}
}
