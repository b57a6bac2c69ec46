package memory

import (
	"encoding/binary"
	"sort"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// entries are the retained entries of one actor, in order. They are stored as
// bytes: there are many, most are never read, and every garbage collection would
// scan them as structs.
type entries struct {
	chunks []chunk // none is empty
	n      int
}

// chunk is a number of entries. Its bytes do not change once they are written.
type chunk struct {
	first uint64 // the number of the first one
	n     int
	b     []byte
}

const (
	firstChunk = 512 // bytes, of an actor with few entries
	maxChunk   = 16 << 10
)

// push adds the next entry, made at a time, and returns its size in bytes.
func (es *entries) push(e *store.Entry, at time.Time) int {
	size := fixedSize + 4*binary.MaxVarintLen64 + len(e.Event) + len(e.Caller) + 4*len(e.Target.Conns) + len(e.Data)
	last := len(es.chunks) - 1
	if last < 0 || cap(es.chunks[last].b)-len(es.chunks[last].b) < size {
		room := firstChunk
		if last >= 0 {
			room = min(2*cap(es.chunks[last].b), maxChunk)
		}
		es.chunks = append(es.chunks, chunk{first: e.Seq, b: make([]byte, 0, max(room, size))})
		last++
	}
	c := &es.chunks[last]
	before := len(c.b)
	c.b = appendEntry(c.b, e, at)
	c.n++
	es.n++
	return len(c.b) - before
}

// pop removes the oldest entry.
func (es *entries) pop() {
	c := &es.chunks[0]
	h, rest := readHeader(c.b)
	c.b = rest[h.size():]
	c.first++
	c.n--
	es.n--
	if c.n == 0 {
		*c = chunk{}
		if es.chunks = es.chunks[1:]; len(es.chunks) == 0 {
			es.chunks = nil // a quiet actor holds no empty array
		}
	}
}

// after calls f with the entries numbered above seq, until f returns false. f may
// keep an entry, but must not change its data.
func (es *entries) after(seq uint64, f func(store.Entry) bool) {
	i := sort.Search(len(es.chunks), func(i int) bool { return es.chunks[i].first+uint64(es.chunks[i].n) > seq+1 })
	var e store.Entry
	for _, c := range es.chunks[i:] {
		for b := c.b; c.n > 0; c.n-- {
			h, rest := readHeader(b)
			b = rest[h.size():]
			if e.Seq = c.first; e.Seq > seq {
				h.entry(rest, &e)
				if !f(e) {
					return
				}
			}
			c.first++
		}
	}
}

// An entry is: flags, time, number of targets, call, the lengths of event, caller
// and data, and then event, caller, target and data themselves.

const (
	flagDirect = 1 << iota
	flagData   // it has data, if only empty data
	flagMode   // times its target's mode

	fixedSize = 1 + 8 + 4 + 4 // flags, time, number of targets
)

func appendEntry(b []byte, e *store.Entry, at time.Time) []byte {
	flags := byte(e.Target.Mode) * flagMode
	if e.Direct {
		flags |= flagDirect
	}
	if e.Data != nil {
		flags |= flagData
	}
	b = append(b, flags)
	b = binary.LittleEndian.AppendUint64(b, uint64(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Target.Conns)))
	b = binary.AppendUvarint(b, e.Call)
	b = binary.AppendUvarint(b, uint64(len(e.Event)))
	b = binary.AppendUvarint(b, uint64(len(e.Caller)))
	b = binary.AppendUvarint(b, uint64(len(e.Data)))
	b = append(b, e.Event...)
	b = append(b, e.Caller...)
	for _, conn := range e.Target.Conns {
		b = binary.LittleEndian.AppendUint32(b, conn)
	}
	return append(b, e.Data...)
}

// header is what comes before the texts of an entry.
type header struct {
	flags                       byte
	time                        time.Time
	call                        uint64
	event, caller, target, data uint64 // bytes
}

func (h *header) size() uint64 { return h.event + h.caller + h.target + h.data }

func readHeader(b []byte) (h header, rest []byte) {
	h.flags = b[0]
	h.time = time.Unix(int64(binary.LittleEndian.Uint64(b[1:])), int64(binary.LittleEndian.Uint32(b[9:])))
	h.target = 4 * uint64(binary.LittleEndian.Uint32(b[13:]))
	b = b[fixedSize:]
	for _, field := range []*uint64{&h.call, &h.event, &h.caller, &h.data} {
		v, n := binary.Uvarint(b)
		*field, b = v, b[n:]
	}
	return h, b
}

// entry decodes the entry whose body is b into e. Strings that e already has, as
// it often does from the entry before, are not allocated again.
func (h *header) entry(b []byte, e *store.Entry) {
	e.Time, e.Call, e.Direct = h.time, h.call, h.flags&flagDirect != 0
	e.Target = store.Target{Mode: store.TargetMode(h.flags / flagMode)}
	e.Data = nil
	var event, caller, target []byte
	event, b = b[:h.event], b[h.event:]
	caller, b = b[:h.caller], b[h.caller:]
	target, b = b[:h.target], b[h.target:]
	if e.Event != string(event) {
		e.Event = string(event)
	}
	if e.Caller != string(caller) {
		e.Caller = string(caller)
	}
	for ; len(target) > 0; target = target[4:] {
		if e.Target.Conns == nil {
			e.Target.Conns = make([]uint32, 0, len(target)/4)
		}
		e.Target.Conns = append(e.Target.Conns, binary.LittleEndian.Uint32(target))
	}
	if h.flags&flagData != 0 {
		e.Data = b[:h.data:h.data]
	}
}
