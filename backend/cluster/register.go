package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// register holds one value that nodes replace by compare-and-set: the table. A register on
// JetStream is a subject, and its revisions are sequences of the stream.
type register interface {
	// read returns a value and its revision; nil and 0 if there is none. It may return an
	// older value than the newest one, because any replica may answer.
	read(ctx context.Context) (value []byte, revision uint64, err error)

	// write replaces the value if the register's revision is the expected one, and returns
	// the new revision. After ErrStale the value was not and will not be written. After
	// another error it may have been, or may still be.
	write(ctx context.Context, value []byte, expected uint64) (revision uint64, err error)
}

// Pauses between tries. A try of a register waits for at most tryFor.
const (
	tryFor     = 2 * time.Second
	tryAgain   = 50 * time.Millisecond
	staleAgain = 5 * time.Millisecond
)

// tables is the newest table that an incarnation knows, and changes it. All methods may be
// called at the same time.
type tables struct {
	register register
	inc      string           // who changes the table here
	heard    func(new *table) // called in the order of revisions, under mu; may be nil

	changing chan struct{} // has room for the one change that is made: its outcome is known before the next

	mu       sync.Mutex // guards the fields below, and orders heard
	current  *table
	revision uint64
	newer    uint64 // the newest revision that other nodes have
}

func newTables(r register, inc string, heard func(new *table)) *tables {
	return &tables{register: r, inc: inc, heard: heard, changing: make(chan struct{}, 1)}
}

// newest returns the newest known table; do not change it. It is nil before the first refresh.
func (t *tables) newest() *table {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// hear takes a value of the register that arrived. The error says that it does not decode.
func (t *tables) hear(value []byte, revision uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil && revision <= t.revision {
		return nil
	}
	next := newTable()
	if revision != 0 {
		var err error
		if next, err = parseTable(value); err != nil {
			return err
		}
	}
	t.setLocked(next, revision)
	return nil
}

func (t *tables) setLocked(next *table, revision uint64) {
	t.current, t.revision = next, revision
	if t.heard != nil {
		t.heard(next)
	}
}

// refresh reads the register. It tries once.
func (t *tables) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	value, revision, err := t.register.read(ctx)
	if err != nil {
		return err
	}
	return t.hear(value, revision)
}

// announced says that another node knows a revision, and reports whether it is newer.
func (t *tables) announced(revision uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newer = max(t.newer, revision)
	return revision > t.revision
}

// catchUp reads the register, again if a replica has answered that is behind, for a while.
func (t *tables) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	for {
		if err := t.refresh(ctx); err != nil {
			return err
		}
		t.mu.Lock()
		revision, newer := t.revision, t.newer
		t.mu.Unlock()
		if revision >= newer {
			return nil
		}
		if err := pause(ctx, staleAgain); err != nil {
			return fmt.Errorf("cluster: another node knows revision %d of the table, and the newest that is found is %d: %w", newer, revision, err)
		}
	}
}

// change edits the table until the edit is in the register, and returns the table that has it.
// It calls edit with a copy of the newest table, perhaps several times, and returns its
// error. An edit that changes nothing writes nothing. When ctx ends, the edit may have been
// made, or may still be: do not end ctx unless the incarnation ends.
//
// The writer must be in the table after the edit: its count of changes there tells whether a
// write with an unknown outcome was made, however many others have followed.
func (t *tables) change(ctx context.Context, edit func(*table) error) (*table, error) {
	select {
	case t.changing <- struct{}{}:
		defer func() { <-t.changing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		t.mu.Lock()
		old, expected := t.current, t.revision
		t.mu.Unlock()
		next := old.clone()
		if err := edit(next); err != nil {
			return nil, err
		}
		if next.equal(old) {
			return old, nil
		}
		me := next.inc(t.inc)
		if me == nil {
			return nil, errors.New("cluster: this node is no longer in the table")
		}
		me.Changes++
		next.Version++
		made, err := t.write(ctx, next, expected, me.Changes)
		if err != nil || made != nil {
			return made, err
		}
	}
}

// write writes a table until the outcome is known. It returns the newest table if that has the
// change, nil if another change was first.
func (t *tables) write(ctx context.Context, next *table, expected, changes uint64) (*table, error) {
	value := next.encode()
	for {
		revision, err := t.try(ctx, value, expected)
		switch {
		case err == nil:
			t.mu.Lock()
			defer t.mu.Unlock()
			if revision > t.revision {
				t.setLocked(next, revision)
			}
			return t.current, nil
		case errors.Is(err, ErrStale):
			// That may be an earlier try's doing. Only a newer table can tell.
			newer, err := t.after(ctx, expected)
			if err != nil {
				return nil, err
			}
			if me := newer.inc(t.inc); me != nil && me.Changes >= changes {
				return newer, nil
			}
			return nil, nil
		}
		if err := pause(ctx, tryAgain); err != nil {
			return nil, err
		}
	}
}

func (t *tables) try(ctx context.Context, value []byte, expected uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	return t.register.write(ctx, value, expected)
}

// after waits until a table above a revision is known.
func (t *tables) after(ctx context.Context, revision uint64) (*table, error) {
	for {
		t.mu.Lock()
		current, known := t.current, t.revision
		t.mu.Unlock()
		if known > revision {
			return current, nil
		}
		if err := t.refresh(ctx); err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		t.mu.Lock()
		known = t.revision
		t.mu.Unlock()
		if known > revision {
			continue
		}
		if err := pause(ctx, staleAgain); err != nil {
			return nil, err
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
