package gateway

import (
	"context"
	"sync"

	"github.com/troupe-dev/troupe/backend/actor"
)

// How much is read from a store at once.
const (
	chunkOutputs = 64
	chunkBytes   = 64 << 10
)

// A coldReader reads for channels whose cursors are below what is in memory,
// with a few goroutines of its own: a store may be slow, and workers must not
// wait for it. Those who are at the same place share one read, and each reads one
// chunk at a time, in turn with all others.
type coldReader struct {
	ctx   context.Context
	queue *queue

	mu      sync.Mutex
	waiting map[place][]reader
}

// A reader waits for a chunk: a channel, or a walk. arrived must not take long.
type reader interface{ arrived(*chunk) }

// place is where in which log.
type place struct {
	log   *actor.Log
	after uint64
}

// chunk is a piece of a log: entries above after. They may be less than there
// are, but not none unless there is none. Channels share it.
type chunk struct {
	after uint64
	outs  []*actor.Output
	err   error
}

func newColdReader(ctx context.Context) *coldReader {
	return &coldReader{ctx: ctx, queue: newQueue(), waiting: map[place][]reader{}}
}

// read gets the chunk of a log after a number, for who.
func (r *coldReader) read(log *actor.Log, after uint64, who reader) {
	p := place{log, after}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[p] == nil {
		r.queue.push(chunkRead{r, p})
	}
	r.waiting[p] = append(r.waiting[p], who)
}

// chunkRead is the job to read a chunk.
type chunkRead struct {
	r *coldReader
	p place
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
	j.r.mu.Unlock()
	for _, r := range readers {
		r.arrived(k)
	}
}
