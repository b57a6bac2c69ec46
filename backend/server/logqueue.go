package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// maxQueuedLog is how many bytes of lines a LogQueue holds.
const maxQueuedLog = 1 << 20

// LogQueue is a slog.Handler that never blocks its callers: a goroutine of its own writes
// the lines. Without it, a log pipe that nobody reads stops every turn that logs, and the
// shutdown. Lines that the writer does not take in time, or fails to write, are dropped
// and counted; once it works again, a line says how many. A Server that logs through a
// LogQueue also has their number in its metrics.
//
// It is safe for concurrent use. Call Close before the process ends, so that the last
// lines are written.
type LogQueue struct {
	slog.Handler // formats lines and appends them to the queue
	queue        *logQueue
}

// NewLogQueue returns a handler that writes to w. format makes the handler that formats
// the lines, with one Write per line, for example
//
//	func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }
//
// If w is a pipe, also call signal.Ignore(syscall.SIGPIPE): the process ends otherwise
// when the pipe's reader goes away.
func NewLogQueue(w io.Writer, format func(io.Writer) slog.Handler) *LogQueue {
	q := &logQueue{w: w, added: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{})}
	q.formatGap = func(lines uint64) []byte {
		var line bytes.Buffer
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines were dropped, because their destination was slow or failed", 0)
		r.AddAttrs(slog.Uint64("lines", lines))
		_ = format(&line).Handle(context.Background(), r) // a buffer takes everything
		return line.Bytes()
	}
	go q.run()
	return &LogQueue{format(q), q}
}

// WithAttrs implements slog.Handler.
func (l *LogQueue) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &LogQueue{l.Handler.WithAttrs(attrs), l.queue}
}

// WithGroup implements slog.Handler.
func (l *LogQueue) WithGroup(name string) slog.Handler {
	return &LogQueue{l.Handler.WithGroup(name), l.queue}
}

// Dropped returns the number of lines that were dropped so far.
func (l *LogQueue) Dropped() uint64 { return l.queue.dropped.Load() }

// droppedLines returns the number of lines that a handler has dropped: 0 if there is no
// LogQueue behind it.
func droppedLines(h slog.Handler) uint64 {
	switch h := h.(type) {
	case *floodgate:
		return droppedLines(h.Handler)
	case *LogQueue:
		return h.Dropped()
	}
	return 0
}

// Flush waits until all lines logged so far are written or dropped. If ctx ends first, it
// returns ctx's error.
func (l *LogQueue) Flush(ctx context.Context) error {
	select {
	case <-l.queue.flush():
		return nil
	case <-l.queue.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close flushes as Flush does, and stops the goroutine once its current write returns.
// Lines logged later are dropped.
func (l *LogQueue) Close(ctx context.Context) error {
	err := l.Flush(ctx)
	l.queue.close()
	return err
}

// logQueue is what a LogQueue and those derived from it share. It is the io.Writer of the
// handler that formats.
type logQueue struct {
	w         io.Writer
	formatGap func(lines uint64) []byte
	dropped   atomic.Uint64
	added     chan struct{} // has an element if run has something to do
	closing   chan struct{}
	ended     chan struct{} // closed when run has returned

	mu      sync.Mutex
	lines   [][]byte
	bytes   int
	gap     uint64          // lines dropped since the last line that said so
	flushes []chan struct{} // to close when lines is written
	closed  bool
}

// Write implements io.Writer: it adds a line, or drops it.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.bytes+len(line) > maxQueuedLog {
		q.dropLocked(1)
		return len(line), nil
	}
	q.lines = append(q.lines, bytes.Clone(line))
	q.bytes += len(line)
	q.wake()
	return len(line), nil
}

func (q *logQueue) dropLocked(lines int) {
	q.gap += uint64(lines)
	q.dropped.Add(uint64(lines))
}

func (q *logQueue) wake() {
	select {
	case q.added <- struct{}{}:
	default:
	}
}

// flush returns a channel that is closed when the lines so far are written or dropped.
func (q *logQueue) flush() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	flushed := make(chan struct{})
	q.flushes = append(q.flushes, flushed)
	q.wake()
	return flushed
}

func (q *logQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.closing)
	}
}

// run writes lines until the queue is closed.
func (q *logQueue) run() {
	defer close(q.ended)
	for {
		select {
		case <-q.closing:
			return
		case <-q.added:
		}
		q.writeAll()
	}
}

// writeAll writes what is in the queue, in one call. A part of a line that the writer has
// taken counts as dropped.
func (q *logQueue) writeAll() {
	q.mu.Lock()
	lines, flushes, gap := q.lines, q.flushes, q.gap
	q.lines, q.flushes, q.gap = nil, nil, 0
	q.mu.Unlock()

	var text []byte
	if gap > 0 {
		text = q.formatGap(gap)
	}
	gapEnd := len(text)
	for _, line := range lines {
		text = append(text, line...)
	}
	n, err := len(text), error(nil)
	if n > 0 {
		n, err = q.w.Write(text)
	}

	q.mu.Lock()
	if n < gapEnd {
		q.gap += gap // the log does not say so yet
	}
	written := gapEnd
	for i, line := range lines {
		q.bytes -= len(line)
		if written += len(line); err != nil && written > n {
			q.dropLocked(len(lines) - i)
			for _, rest := range lines[i+1:] {
				q.bytes -= len(rest)
			}
			break
		}
	}
	q.mu.Unlock()
	for _, flushed := range flushes {
		close(flushed)
	}
}
