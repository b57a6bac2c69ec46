package main

import "bytes"

// jsonDialect is what the bare hubs speak: the query string names the room,
// {"t":"init"} confirms, then {"t":"call"} / {"t":"reply"} / {"t":"event"}.
type jsonDialect struct{ path string }

var (
	jsEvent = []byte(`{"t":"event"`)
	jsReply = []byte(`{"t":"reply","id":`)
)

func (d jsonDialect) Join(c *Conn, addr, room string) error {
	if err := c.Dial(addr, d.path+"?room="+room); err != nil {
		return err
	}
	_, err := c.expect(`{"t":"init"`)
	return err
}

func (jsonDialect) Call(_ *Conn, id uint32, user, text string) (byte, []byte) {
	return opText, []byte(`{"t":"call","id":` + utoa(id) + `,"name":"sendMessage","args":[` + quote(user) + `,` + quote(text) + `]}`)
}

func (jsonDialect) Scan(_ *Conn, _ byte, m []byte, emit func(Kind, uint32, []byte)) {
	for len(m) > 0 { // one message may hold several lines
		line := m
		if i := bytes.IndexByte(m, '\n'); i >= 0 {
			line, m = m[:i], m[i+1:]
		} else {
			m = nil
		}
		switch {
		case bytes.HasPrefix(line, jsEvent):
			emit(Event, 0, line)
		case bytes.HasPrefix(line, jsReply):
			emit(Reply, number(line[len(jsReply):]), line)
		}
	}
}
