package journal

import (
	"slices"
	"sync"

	"github.com/troupe-dev/troupe/backend/store"
)

// Of what Decoded keeps.
const (
	maxDecoded      = 8
	maxDecodedBytes = 16 << 20 // unless one commit alone has more
)

// Decoded keeps the entries of commits of which a read of a log has used a part
// only, because the next read continues there: a commit may be much longer than what is read
// at once, and has to be decoded as a whole. The zero value is empty. All methods may be
// called at the same time.
type Decoded struct {
	mu    sync.Mutex
	all   []decodedCommit // the newest last
	bytes int
}

type decodedCommit struct {
	actor   string
	last    uint64 // number of its last entry
	entries []store.Entry
	bytes   int
}

// Get returns the entries of the actor's commit that ends with an entry's number, nil if
// they are not kept.
func (d *Decoded) Get(actor string, last uint64) []store.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.all, func(c decodedCommit) bool { return c.actor == actor && c.last == last })
	if i < 0 {
		return nil
	}
	return d.all[i].entries
}

// Put keeps the entries of a commit.
func (d *Decoded) Put(actor string, entries []store.Entry) {
	c := decodedCommit{actor: actor, last: entries[len(entries)-1].Seq, entries: entries}
	for i := range entries {
		const fixed = 128
		c.bytes += fixed + len(entries[i].Data)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, c)
	d.bytes += c.bytes
	for len(d.all) > maxDecoded || len(d.all) > 1 && d.bytes > maxDecodedBytes {
		d.bytes -= d.all[0].bytes
		d.all = slices.Delete(d.all, 0, 1)
	}
}

// Clear forgets everything. Call it from time to time.
func (d *Decoded) Clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all, d.bytes = nil, 0
}
