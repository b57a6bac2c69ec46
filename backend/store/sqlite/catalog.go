package sqlite

import (
	"sync"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// catalog is what the reader and the writer of a file share.
type catalog struct {
	mu      sync.Mutex // held briefly; lock writer.writing before it
	index   journal.Index
	pool    *pool // nil after a disk error, until the file is open again
	failure error // why writes do not work
}

// isComplete reports whether an actor's record is in memory. Only the writer, which
// calls this, removes it.
func (c *catalog) isComplete(r *journal.Resident) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return r.Record != nil
}

// Health returns nil while the store can be written, else the reason why not. Damage
// of single actors is in the log only. It may be called at any time.
func (c *catalog) Health() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// JournalBytes returns the size of the journal, without SQLite's overhead. It may
// be called at any time.
func (c *catalog) JournalBytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.index.Bytes
}
