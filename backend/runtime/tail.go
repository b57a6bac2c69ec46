package runtime

import (
	"context"
	"encoding/json"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
)

// LogEntry is an output of an actor's log.
type LogEntry struct {
	*host.Output
	Data  json.RawMessage // masked; nil if it has none, or it is larger than was asked for
	Bytes int             // of the unmasked data
}

// LogTail reads the end of an actor's log as it grows. It does not follow the log: Next looks
// what is there. It is not safe for concurrent use.
type LogTail struct {
	n     *Node
	id    string
	def   *definition.Definition
	actor *Actor // whose log is being read; nil: not read yet, or it has left memory
	pos   host.Pos
	seq   uint64 // everything up to it was returned, or skipped
	begun bool
}

// Tail returns the tail of an actor's log.
func (i *Inspector) Tail(name, id string) *LogTail {
	return &LogTail{n: i.n, id: id, def: i.n.defs[name]}
}

// storedTail is how many bytes Next reads from the store at most.
const storedTail = 1 << 20

// Next returns what is new in the log: the first time its end. Of more than limit outputs,
// the oldest are skipped. Data of more than maxData bytes is left out. The error is that of
// the store.
func (t *LogTail) Next(ctx context.Context, limit, maxData int) (entries []LogEntry, skipped int, err error) {
	a := inMemory(t.n, t.id)
	if a == nil || a.log.Log().Identity() == "" {
		t.actor = nil
		if t.begun {
			return nil, 0, nil // what it does before it sleeps again is read when it is next awake
		}
		return t.first(ctx, nil, limit, maxData)
	}
	log := a.log.Log()
	if a != t.actor {
		t.actor = a
		ok := false
		if t.begun {
			t.pos, ok = log.After(t.seq)
		}
		if !ok {
			return t.first(ctx, log, limit, maxData)
		}
	}
	if visible := log.Visible(); visible > t.pos+host.Pos(limit) {
		skipped = int(visible - t.pos - host.Pos(limit))
		t.pos = visible - host.Pos(limit)
	}
	outputs, next, ok := log.Read(t.pos, nil, limit)
	if !ok {
		from := t.pos
		outputs, next = log.Tail(nil, limit)
		skipped += int(next-from) - len(outputs)
	}
	t.pos = next
	return t.entries(outputs, maxData), skipped, nil
}

// first returns the end of the log: what is in memory, and what the store has before it.
func (t *LogTail) first(ctx context.Context, log *host.Log, limit, maxData int) (entries []LogEntry, skipped int, err error) {
	var outputs []*host.Output
	var head uint64
	if log != nil {
		outputs, t.pos = log.Tail(nil, limit)
		head = log.Head()
		for _, o := range outputs {
			if o.Numbered {
				head = o.Seq - 1
				break
			}
		}
	} else {
		snap, err := t.n.store.Load(ctx, t.id)
		if err != nil {
			return nil, 0, err
		}
		head = snap.Head
	}
	from := head - min(head, uint64(max(0, limit-len(outputs))))
	if t.begun {
		from = max(from, min(t.seq, head))
	}
	if from < head {
		stored, err := t.n.store.Entries(ctx, t.id, from, limit-len(outputs), storedTail)
		if err != nil {
			return nil, 0, err
		}
		before := make([]*host.Output, 0, len(stored)+len(outputs))
		for _, e := range stored {
			if e.Seq <= head {
				before = append(before, host.OutputOf(e))
			}
		}
		outputs = append(before, outputs...)
	}
	if t.begun && len(outputs) > 0 && outputs[0].Seq > t.seq+1 {
		skipped = int(outputs[0].Seq - t.seq - 1)
	}
	t.begun, t.seq = true, max(t.seq, head)
	return t.entries(outputs, maxData), skipped, nil
}

func (t *LogTail) entries(outputs []*host.Output, maxData int) []LogEntry {
	entries := make([]LogEntry, 0, len(outputs))
	for _, o := range outputs {
		t.seq = max(t.seq, o.Seq)
		entries = append(entries, entryOf(t.def, o, maxData))
	}
	return entries
}

func entryOf(def *definition.Definition, o *host.Output, maxData int) LogEntry {
	e := LogEntry{Output: o, Bytes: len(o.Data)}
	if len(o.Data) == 0 || len(o.Data) > maxData {
		return e
	}
	if o.Kind == host.OutputEvent {
		e.Data = maskEvent(def, o.Event, o.Data)
	} else {
		e.Data = maskReply(def, o.Data)
	}
	return e
}

// Entries returns entries of an actor's log from the store, as they are durable, see
// store.Store.Entries.
func (i *Inspector) Entries(ctx context.Context, name, id string, after uint64, limit, maxData int) ([]LogEntry, error) {
	stored, err := i.n.store.Entries(ctx, id, after, limit, storedTail)
	if err != nil {
		return nil, err
	}
	entries := make([]LogEntry, 0, len(stored))
	for _, e := range stored {
		entries = append(entries, entryOf(i.n.defs[name], host.OutputOf(e), maxData))
	}
	return entries, nil
}
