package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
)

// troupeDialect is Troupe's own protocol (package wire): a frame is one message or
// an array of them, and every message of a channel starts with {"c":1,"t":".
type troupeDialect struct{}

var (
	trHead  = []byte(`{"c":1,"t":"`)
	trEvent = []byte(`event"`)
	trReply = []byte(`reply"`)
	trFail  = []byte(`fail"`)
	trID    = []byte(`"id":`)
	trAt    = []byte(`"t":"at"`)
	trBeat  = []byte(`{"t":"beat"}`)
)

func bits() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (troupeDialect) Join(c *Conn, addr, room string) error {
	if err := c.Dial(addr, "/api/socket?v=1"); err != nil {
		return err
	}
	if _, err := c.expect(`{"t":"hello"`); err != nil {
		return err
	}
	if err := c.sendText(`{"t":"open","c":1,"actor":"room","key":[` + quote(room) + `],"k":"` + bits() +
		`","caller":"` + bits() + `","subs":["messageReceived"]}`); err != nil {
		return err
	}
	for {
		_, m, err := c.ReadMsg()
		if err != nil || bytes.Contains(m, trAt) {
			return err
		}
	}
}

func (troupeDialect) Call(_ *Conn, id uint32, user, text string) (byte, []byte) {
	return opText, []byte(`{"t":"call","c":1,"id":` + utoa(id) + `,"a":"sendMessage","args":[` + quote(user) + `,` + quote(text) + `]}`)
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
		end := bytes.Index(m, trHead)
		if end < 0 {
			end = len(m)
		}
		one := m[:end]
		switch {
		case bytes.HasPrefix(one, trEvent):
			emit(Event, 0, one)
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
