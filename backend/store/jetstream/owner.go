package jetstream

import (
	"context"
	"time"
)

// Incarnation returns the id of this incarnation, which is the name of its journal.
func (s *Store) Incarnation() string { return s.own.incarnation }

// Newest returns the sequence of the newest message of the own journal that is known to be
// stored. Observers seal the journal when it has not changed for as long as the lease.
func (s *Store) Newest() uint64 { return s.own.newest.Load() }

// Deposed reports whether the journal was sealed. The store is of no more use.
func (s *Store) Deposed() bool { return s.own.deposed.Load() }

// Lost is closed when the store learns that another node has sealed the journal.
func (s *Store) Lost() <-chan struct{} { return s.own.lost }

// Valid implements store.Owner: the lease counts from when the newest message of the
// journal was sent. Without a lease it is always false.
func (s *Store) Valid() bool { return s.own.valid() }

// Prove implements store.Owner: it adds a message to the journal.
func (s *Store) Prove(ctx context.Context) error { return s.own.prove(ctx) }

// Seal ends the journal of another incarnation, if a sequence is still that of its newest
// message, and returns the sequence of the seal, which may also be an earlier one. The
// error wraps store.ErrConflict if the owner has written meanwhile. Call it when the owner
// has been silent for the lease, counted from when the sequence was known.
func (s *Store) Seal(ctx context.Context, journal string, newest uint64) (seal uint64, err error) {
	return s.journals.seal(ctx, journal, newest, journalSeal(journal, s.own.incarnation))
}

// LastMessage is the newest message of a journal.
type LastMessage struct {
	Seq    uint64        // its sequence; 0: the journal does not exist
	Sealed bool          // it is the seal
	Sent   time.Duration // when the owner first tried to send it, on the owner's Clock; 0: not known
}

// Clock returns the time on the clock of the lease. It begins at some time before the store was
// opened, goes on while the machine is suspended, and says nothing to other machines but how much
// has passed between two of its times.
func (s *Store) Clock() time.Duration { return s.own.boot() }

// Last returns the newest message of a journal, as the stream's leader has it.
func (s *Store) Last(ctx context.Context, journal string) (LastMessage, error) {
	return s.journals.last(ctx, journal)
}

// LastSeen is Last as some replica has it, which may be behind. It works also while the stream
// has no leader, as when the server that led it has died together with the journal's owner.
func (s *Store) LastSeen(ctx context.Context, journal string) (LastMessage, error) {
	return s.journals.seen(ctx, journal)
}

// renew keeps the lease: it adds a message when nothing else was added for a quarter of it.
func (o *ownJournal) renew(done <-chan struct{}) {
	const parts = 4
	for {
		idle := o.boot() - time.Duration(o.sent.Load())
		t := time.NewTimer(max(o.lease/parts-idle, o.lease/(8*parts)))
		select {
		case <-done:
			t.Stop()
			return
		case <-t.C:
		}
		if o.deposed.Load() {
			return
		}
		if o.boot()-time.Duration(o.sent.Load()) >= o.lease/parts {
			if err := o.prove(context.Background()); err != nil && !o.deposed.Load() {
				o.log.Warn("the lease cannot be renewed", "error", err)
			}
		}
	}
}

// SealOwn ends the own journal, and returns the sequence of the seal. The store is of no more
// use then but for Close. After an error that wraps store.ErrUnknown it may be called again.
func (s *Store) SealOwn(ctx context.Context) (seal uint64, err error) { return s.own.end(ctx) }

// Abandon stops the store as if its process were killed: it writes nothing any more, and does
// not end its journal. Others do, once the lease is over.
func (s *Store) Abandon() {
	s.own.deposed.Store(true)
	s.closing.Do(func() {
		close(s.done)
		s.workers.Wait()
		s.direct.close()
	})
}

// end seals the own journal.
func (o *ownJournal) end(ctx context.Context) (seal uint64, err error) {
	o.writing.Lock()
	defer o.writing.Unlock()
	err = o.settle(ctx) // perhaps of an earlier try
	if o.sealed == 0 && err == nil {
		err = o.append(ctx, journalSeal(o.incarnation, o.incarnation), func(seq uint64) {
			o.sealed = seq
			o.deposed.Store(true)
		})
	}
	if o.sealed != 0 {
		return o.sealed, nil
	}
	return 0, err
}
