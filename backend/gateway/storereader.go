package gateway

import (
	"context"
	"sync"

	"github.com/troupe-dev/troupe/backend/host"
)

// How much is read from a store at once.
const (
	chunkOutputs = 64
	chunkBytes   = 64 << 10
)

// Chunks are kept for readers that reach the same location a moment later, as clients
// do that lost the same server and spread their return.
const (
	keepTicks = 2       // for how long after the last use, about
	keepBytes = 2 << 20 // twice this in all
)

// A storeReader reads for channels whose cursors are below what is in memory,
// with a few goroutines of its own: a store may be slow, and workers must not
// wait for it. Readers at the same location share one read, also if they come
// a little later, and each reads one chunk at a time, in turn with all others.
type storeReader struct {
	ctx   context.Context
	queue *queue

	mu      sync.Mutex
	waiting map[location][]reader
	recent  map[location]*chunk // used since the last rotation
	older   map[location]*chunk // used between that and the rotation before
	bytes   int                 // of recent
	ticks   int                 // since the last rotation
}

// A reader waits for a chunk: a channel, or a gap scan. arrived must not take long.
type reader interface{ arrived(*chunk) }

// A location is a position in a log.
type location struct {
	log      *host.Log
	identity string
	after    uint64
}

// chunk is a piece of a log: entries above after. They may be less than there
// are, but not none unless there is none. Channels share it.
type chunk struct {
	after uint64
	outs  []*host.Output
	err   error
}

func newStoreReader(ctx context.Context) *storeReader {
	return &storeReader{ctx: ctx, queue: newQueue(), waiting: map[location][]reader{}, recent: map[location]*chunk{}}
}

// read gets the chunk of a log after a number, for w.
func (r *storeReader) read(log *host.Log, after uint64, w reader) {
	p := location{log, log.Identity(), after}
	r.mu.Lock()
	k := r.recent[p]
	if k == nil && r.older[p] != nil {
		k = r.older[p]
		r.keepLocked(p, k)
	}
	if k == nil {
		if r.waiting[p] == nil {
			r.queue.push(chunkRead{r, p})
		}
		r.waiting[p] = append(r.waiting[p], w)
	}
	r.mu.Unlock()
	if k != nil {
		w.arrived(k)
	}
}

// keepLocked keeps a chunk for a while. An end of a log is not kept: there may be
// more soon.
func (r *storeReader) keepLocked(p location, k *chunk) {
	const fixed = 512 // an output, twice
	size := 0
	for _, o := range k.outs {
		size += fixed + 2*len(o.Data) // with the encoded copy
	}
	if size == 0 || size > keepBytes {
		return
	}
	if r.bytes+size > keepBytes {
		r.rotateLocked()
	}
	r.recent[p] = k
	r.bytes += size
}

// rotateLocked forgets the chunks that were not used since the last rotation.
func (r *storeReader) rotateLocked() {
	r.older, r.recent, r.bytes, r.ticks = r.recent, map[location]*chunk{}, 0, 0
}

// tend forgets what has not been used for some time. It is called every tick.
func (r *storeReader) tend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ticks++; r.ticks >= keepTicks && len(r.recent)+len(r.older) > 0 {
		r.rotateLocked()
	}
}

// chunkRead is the job to read a chunk.
type chunkRead struct {
	r *storeReader
	p location
}

func (j chunkRead) run() {
	outs, err := j.p.log.Stored(j.r.ctx, j.p.after, chunkOutputs, chunkBytes)
	j.deliver(&chunk{j.p.after, outs, err})
}

// failed is called when run panicked.
func (j chunkRead) failed() { j.deliver(&chunk{after: j.p.after, err: context.Canceled}) }

func (j chunkRead) deliver(k *chunk) {
	j.r.mu.Lock()
	readers := j.r.waiting[j.p]
	delete(j.r.waiting, j.p)
	j.r.keepLocked(j.p, k)
	j.r.mu.Unlock()
	for _, r := range readers {
		r.arrived(k)
	}
}
