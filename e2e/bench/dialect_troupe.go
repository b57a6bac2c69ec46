package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
)

// troupeDialect is Troupe's own protocol (package wire): a frame is one message or
// an array of them, and every message of a channel starts with {"c":N,"t":". The
// zero value does what all peers do; growth.go uses the other fields.
type troupeDialect struct {
	actor, action string // [room, sendMessage]
	channels      int    // connections on each socket [1]
	apart         bool   // each channel has a room of its own
	to            int    // further argument of the action, if not 0
}

// troupeState is the state that a connection needs to resume. Only the first channel of a
// socket resumes.
type troupeState struct{ k, caller, log, seen string }

var (
	trHead  = []byte(`{"c":`)
	trType  = []byte(`,"t":"`)
	trEvent = []byte(`event"`)
	trReply = []byte(`reply"`)
	trFail  = []byte(`fail"`)
	trID    = []byte(`"id":`)
	trAt    = []byte(`at"`)
	trBeat  = []byte(`{"t":"beat"}`)
)

func bits() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (d troupeDialect) Join(c *Conn, addr, room string) error {
	if err := d.dial(c, addr); err != nil {
		return err
	}
	for ch := 1; ch <= max(1, d.channels); ch++ {
		key := room
		if d.apart {
			key += "-" + strconv.Itoa(ch)
		}
		if err := d.open(c, ch, key, "", ""); err != nil {
			return err
		}
	}
	for at := 0; at < max(1, d.channels); {
		_, m, err := c.ReadMsg()
		if err != nil {
			return err
		}
		if st := c.State.(*troupeState); st.log == "" && bytes.Contains(m, []byte(`"t":"opened"`)) {
			st.log, st.seen = field(m, `"log":"`), field(m, `"s":`)
		}
		if bytes.Contains(m, []byte(`"t":"closed"`)) {
			return fmt.Errorf("refused: %.200s", m)
		}
		at += bytes.Count(m, []byte(`"t":"at"`))
	}
	return nil
}

func (d troupeDialect) Resume(c *Conn, addr, room string) error {
	if err := d.dial(c, addr); err != nil {
		return err
	}
	st := c.State.(*troupeState)
	return d.open(c, 1, room, st.log, st.seen)
}

func (troupeDialect) dial(c *Conn, addr string) error {
	if err := c.Dial(addr, "/api/socket?v=1"); err != nil {
		return err
	}
	_, err := c.expect(`{"t":"hello"`)
	return err
}

func (d troupeDialect) open(c *Conn, ch int, key, log, seen string) error {
	st, ok := c.State.(*troupeState)
	if !ok || ch > 1 {
		st = &troupeState{k: bits(), caller: bits()}
	}
	if ch == 1 {
		c.State = st
	}
	m := `{"t":"open","c":` + strconv.Itoa(ch) + `,"actor":"` + cmp.Or(d.actor, "room") + `","key":[` + quote(key) + `],"k":"` + st.k +
		`","caller":"` + st.caller + `","subs":["messageReceived"]`
	if log != "" {
		m += `,"log":"` + log + `","s":` + seen
	}
	return c.sendText(m + "}")
}

// field is what follows the prefix, up to the end of a number or string.
func field(m []byte, prefix string) string {
	_, rest, _ := bytes.Cut(m, []byte(prefix))
	return string(rest[:max(0, bytes.IndexAny(rest, `",}`))])
}

func (d troupeDialect) Call(_ *Conn, id uint32, user, text string) (byte, []byte) {
	args := quote(user) + "," + quote(text)
	if d.to > 0 {
		args += "," + strconv.Itoa(d.to)
	}
	return opText, d.call(1, id, cmp.Or(d.action, "sendMessage"), args)
}

func (troupeDialect) call(ch int, id uint32, action, args string) []byte {
	return []byte(`{"t":"call","c":` + strconv.Itoa(ch) + `,"id":` + utoa(id) + `,"a":"` + action + `","args":[` + args + `]}`)
}

func (troupeDialect) Scan(c *Conn, _ byte, m []byte, emit func(Kind, uint32, []byte)) {
	if bytes.Contains(m, trBeat) {
		_ = c.Send(opText, trBeat) // a failure shows with the next read
	}
	for {
		i := bytes.Index(m, trHead)
		if i < 0 {
			return
		}
		m = m[i+len(trHead):]
		if i = bytes.Index(m, trType); i < 0 {
			return
		}
		m = m[i+len(trType):]
		end := bytes.Index(m, trHead)
		if end < 0 {
			end = len(m)
		}
		one := m[:end]
		switch {
		case bytes.HasPrefix(one, trEvent):
			emit(Event, 0, one)
		case bytes.HasPrefix(one, trAt):
			c.State.(*troupeState).seen = field(one, `"s":`)
			emit(At, 0, one)
		case bytes.HasPrefix(one, trReply), bytes.HasPrefix(one, trFail):
			kind := Reply
			if one[0] == 'f' {
				kind = Failed
			}
			if j := bytes.Index(one, trID); j >= 0 {
				emit(kind, number(one[j+len(trID):]), one)
			}
		}
	}
}
