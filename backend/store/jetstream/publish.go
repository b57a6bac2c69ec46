package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store"
)

// ownJournal adds messages to the journal of this incarnation, each exactly once.
//
// There is one message on its way at a time, and it expects the sequence with which the
// one before was acknowledged. Expecting a predicted sequence would defeat the fence: of
// several messages on their way exactly one loses to a seal, and those behind it fit again.
type ownJournal struct {
	*client
	incarnation string
	subject     string
	lease       time.Duration
	boot        func() time.Duration // time since the machine's start
	first       uint64               // sequence of the first message
	lost        chan struct{}        // closed when another node has sealed the journal
	begun       atomic.Uint64        // the first piece of the message that is on its way in pieces; 0: none

	// writing is held by whoever adds a message. It guards the fields below.
	writing sync.Mutex
	last    uint64    // sequence of the newest message
	n       uint64    // number of the newest one that was tried
	stuck   *outgoing // of unknown outcome
	sealed  uint64    // sequence of the message with which this node has ended it; 0: none

	isStuck    atomic.Bool
	stuckSince atomic.Int64 // on the boot clock
	deposed    atomic.Bool
	newest     atomic.Uint64 // last
	sent       atomic.Int64  // when the newest one was first tried, on the boot clock
	retries    atomic.Int64
}

// outgoing is a message on its way into the journal.
type outgoing struct {
	data []byte
	n    string           // its header
	sent time.Duration    // its first try
	made func(seq uint64) // called once it is stored
}

// errDeposed is the error of everything once another node has sealed the journal.
var errDeposed = fmt.Errorf("another node has taken over: %w", store.ErrConflict)

// header has the message's number, which tells one's own message from a seal, and when it was first
// tried, in milliseconds on the sender's clock.
const header = "T"

// sentAt returns when a message of a journal was first tried; 0 if its headers do not say it.
func sentAt(headers nats.Header) time.Duration {
	_, at, _ := strings.Cut(headers.Get(header), " ")
	ms, err := strconv.ParseUint(at, 10, 48)
	if err != nil {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// append adds a message, and calls made with its sequence. Hold writing. The error wraps
// store.ErrUnknown if the message may yet be stored: it is then stuck, and settle finds out.
func (j *ownJournal) append(ctx context.Context, data []byte, made func(seq uint64)) error {
	if err := j.settle(ctx); err != nil {
		return err
	}
	j.n++
	sent := j.boot()
	return j.push(ctx, &outgoing{data, fmt.Sprintf("%d %d", j.n, sent.Milliseconds()), sent, made})
}

// settle finds out what became of the message that is stuck, if there is one. Hold writing.
func (j *ownJournal) settle(ctx context.Context) error {
	if j.deposed.Load() {
		return errDeposed
	}
	if j.stuck == nil {
		return nil
	}
	if err := j.push(ctx, j.stuck); err != nil {
		return err
	}
	if j.sealed != 0 {
		return errDeposed // that was the seal: nothing comes after it
	}
	return nil
}

// push publishes a message until it is known whether it is stored, or nobody needs to know because
// the store was abandoned.
func (j *ownJournal) push(ctx context.Context, o *outgoing) error {
	begin := time.Now()
	repeated := j.stuck != nil
	j.stuck = o
	for {
		seq, sent, err := j.publishAgain(ctx, expect(&nats.Msg{Subject: j.subject, Data: o.data, Header: nats.Header{header: {o.n}}}, j.last))
		if err == nil {
			j.made(o, seq)
			return nil
		}
		repeated = repeated || sent > 1
		pause := 20 * time.Millisecond
		switch {
		case code(err) == codeInProcess: // perhaps an earlier try of this message
			pause = 5 * time.Millisecond
		case code(err) == codeWrongLast:
			// Either an earlier try was stored, or another node has sealed the journal.
			seq, mine, lookErr := j.next(ctx, o)
			switch {
			case lookErr != nil:
				err = lookErr
			case mine:
				j.made(o, seq)
				return nil
			default:
				j.depose(seq)
				return errDeposed
			}
		case definite(err) != nil && !repeated:
			j.stuck = nil
			return definite(err)
		}
		repeated = true
		j.retries.Add(1)
		if j.deposed.Load() || time.Since(begin) > j.timeout || ctx.Err() != nil || wait(ctx, pause) != nil {
			if !j.isStuck.Load() {
				j.stuckSince.Store(int64(o.sent))
				j.isStuck.Store(true)
			}
			return fmt.Errorf("%w: %w", store.ErrUnknown, err)
		}
	}
}

// made notes that a message is stored.
func (j *ownJournal) made(o *outgoing, seq uint64) {
	j.last, j.stuck = seq, nil
	j.newest.Store(seq)
	j.sent.Store(int64(o.sent))
	if o.made != nil {
		o.made(seq)
	}
	j.isStuck.Store(false) // after made: readers must not see the time in between
}

func (j *ownJournal) depose(seal uint64) {
	j.stuck = nil
	j.isStuck.Store(false)
	if !j.deposed.Swap(true) {
		close(j.lost)
		j.log.Warn("another node has taken over the actors of this one", "journal", j.incarnation, "newest", j.last, "sealed", seal)
	}
}

// next returns the sequence of the journal's message after the last one that is known,
// and whether it is an earlier try of o.
func (j *ownJournal) next(ctx context.Context, o *outgoing) (seq uint64, mine bool, err error) {
	emptied := errors.New("the journal is empty")
	err = j.ask(ctx, j.journal, fmt.Sprintf(`{"seq":%d,"next_by_subj":%q}`, j.last+1, j.subject), false, func(m []*nats.Msg) bool {
		if len(m) == 0 {
			return false // that replica is behind
		}
		seq, mine = sequence(m[0]), m[0].Header.Get(header) == o.n
		return true
	})
	if err != nil && j.isEmptied(ctx) {
		return 0, false, nil // only after a seal: see Store.Purge
	}
	if err != nil {
		return 0, false, errors.Join(emptied, err)
	}
	return seq, mine, nil
}

// isEmptied reports whether the stream's leader has no message of the journal.
func (j *ownJournal) isEmptied(ctx context.Context) bool {
	seq, _, err := j.leaderLast(ctx, j.journal, j.subject)
	return err == nil && seq == 0
}

// prove adds a message that says nothing. Once it is stored, nobody had taken over before.
func (j *ownJournal) prove(ctx context.Context) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	return j.append(ctx, []byte{kindLease}, nil)
}

// resolved returns nil once no message is stuck. Readers call it before they read.
func (j *ownJournal) resolved(ctx context.Context) error {
	if j.deposed.Load() {
		return errDeposed
	}
	if !j.isStuck.Load() {
		return nil
	}
	j.writing.Lock()
	defer j.writing.Unlock()
	return j.settle(ctx)
}

// valid reports whether the lease holds: until a fraction of it after the newest
// message's first try.
func (j *ownJournal) valid() bool { return j.leaseLeft() > 0 }

// leaseLeft returns for how long the lease holds; 0 if it does not.
func (j *ownJournal) leaseLeft() time.Duration {
	if j.lease == 0 || j.deposed.Load() {
		return 0
	}
	return max(0, j.lease-j.lease/10-(j.boot()-time.Duration(j.sent.Load())))
}
