package jetstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/pages"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// Target is a store that a backup is written to, such as a new one of store/sqlite.
type Target interface {
	Import(ctx context.Context, actor string, rec *record.Record) error
	Load(ctx context.Context, actor string) (*store.Snapshot, error)
	Secret(ctx context.Context, name string, generate func() []byte) ([]byte, error)
}

// Backup writes all actors to an empty store, as they were at one moment, while nodes use
// them: all commits up to one sequence of the journals' stream are in it, and none after
// that. So a message that its sender no longer has is where its receiver has it.
//
// It reads the heads with their pages first, then the journals up to their newest message
// at that time, and rolls each actor forward. Actors whose commits were trimmed meanwhile
// are read again, and that time is taken anew. The entries of logs are not in a backup.
func Backup(ctx context.Context, nc *nats.Conn, o Options, to Target) error {
	o.Lease = backupLease
	s, err := Open(ctx, nc, o)
	if err != nil {
		return err
	}
	b := &backup{Store: s, to: to, revs: map[string]uint64{}}
	err = b.run(ctx)
	if closeErr := s.Close(); closeErr == nil {
		err = errors.Join(err, s.Purge(ctx, Journal{s.Incarnation(), s.Newest()}))
	} else {
		err = errors.Join(err, closeErr)
	}
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

// backupLease makes a store add messages to its journal, so that it is not quiet for so long
// that Tidy removes it.
const backupLease = time.Minute

// backup is a Backup that is under way.
type backup struct {
	*Store
	to      Target
	barrier uint64
	revs    map[string]uint64 // of the actors that the target has
	sizes   map[string]int64  // bytes of the actors, as they were listed last
	next    uint64            // the sequence to read the journals from
}

func (b *backup) run(ctx context.Context) error {
	if err := b.secrets(ctx); err != nil {
		return err
	}
	heads, err := b.list(ctx)
	if err != nil {
		return err
	}
	stale := make([]string, 0, len(heads))
	for actor := range heads {
		stale = append(stale, actor)
	}
	const tries = 100
	for range tries {
		for len(stale) > 0 {
			n := b.together(stale)
			if err := b.copyAll(ctx, stale[:n]); err != nil {
				return err
			}
			stale = stale[n:]
		}
		if stale, err = b.rollForward(ctx); err != nil || len(stale) == 0 {
			return err
		}
	}
	return fmt.Errorf("commits of %d actors are neither in a journal nor in their heads, one of them is %s: %w", len(stale), stale[0], journal.ErrDamaged)
}

// list returns the revisions of all heads. From then on, copy reads no older ones.
func (b *backup) list(ctx context.Context) (map[string]uint64, error) {
	barrier, err := b.writeBarrier(ctx)
	if err != nil {
		return nil, err
	}
	b.barrier = barrier
	parts := make([]int, store.Partitions)
	for i := range parts {
		parts[i] = i
	}
	found, err := lister{b.reader}.find(ctx, parts, "*")
	if err != nil {
		return nil, err
	}
	revs := make(map[string]uint64, len(found))
	b.sizes = make(map[string]int64, len(found))
	for _, a := range found {
		revs[a.info.Actor], b.sizes[a.info.Actor] = a.info.Rev, a.info.Bytes
	}
	return revs, nil
}

// Limits of the heads that are asked for at once. A server sends what it reads for a request
// without a pause, so more might not come in time, and much more it does not send at all.
const (
	headsAtOnce = 16
	headBytes   = 4 << 20 // about; one head may have more
)

// together returns how many of some actors, from the first one on, are copied at once.
func (b *backup) together(actors []string) (n int) {
	for bytes := int64(0); n < min(len(actors), headsAtOnce); n++ {
		if bytes += b.sizes[actors[n]]; n > 0 && bytes > headBytes {
			break
		}
	}
	return n
}

// copyAll copies actors' heads and their items to the target.
func (b *backup) copyAll(ctx context.Context, actors []string) error {
	var found map[string]*nats.Msg
	if len(actors) > 1 {
		var err error
		if found, err = b.heads.newestOf(ctx, actors, b.barrier); err != nil {
			return err
		}
	}
	for _, actor := range actors {
		if err := b.copyFound(ctx, actor, found[actor]); err != nil {
			return fmt.Errorf("actor %s: %w", actor, err)
		}
	}
	return nil
}

// copyFound copies an actor whose head was found, or reads that alone: it may have been replaced
// since.
func (b *backup) copyFound(ctx context.Context, actor string, m *nats.Msg) error {
	if m == nil {
		return b.copy(ctx, actor)
	}
	h, err := b.heads.open(ctx, m)
	if err == nil && h.record.Rev > 0 {
		err = b.copyHead(ctx, actor, h)
	}
	if errors.Is(err, errMoved) || errors.Is(err, pages.ErrMissing) {
		return b.copy(ctx, actor)
	}
	return err
}

// copy copies an actor's head and its items to the target.
func (b *backup) copy(ctx context.Context, actor string) error {
	return b.retry(ctx, func(ctx context.Context) (bool, error) {
		h, err := b.heads.read(ctx, actor, b.barrier, 0)
		if err != nil || h.record.Rev == 0 { // it is gone, or its commits are all in the journal
			return true, err
		}
		err = b.copyHead(context.WithoutCancel(ctx), actor, h)
		return !errors.Is(err, pages.ErrMissing), err // there is a newer head
	})
}

func (b *backup) copyHead(ctx context.Context, actor string, h head) error {
	const slice = 4 << 20
	rec := h.record
	rec.Wiped = rec.Rev // in place of an earlier copy
	for table, root := range h.Roots {
		var failed error
		err := pages.Range(ctx, actorPages{b.heads, actor, false}, root, store.ItemRange{}, func(i store.Item) bool {
			rec.Items.Set(table, overlay.Item{Item: i, Rev: rec.Rev})
			if rec.Items.Bytes() < slice {
				return true
			}
			part := *rec
			if failed = b.to.Import(ctx, actor, &part); failed != nil {
				return false
			}
			rec.Items, rec.Wiped = overlay.Items{}, 0
			return true
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
	}
	b.revs[actor] = rec.Rev
	return b.to.Import(ctx, actor, rec)
}

// rollForward applies all commits of the journals up to now. It returns the actors of which
// commits are missing: newer heads have them.
func (b *backup) rollForward(ctx context.Context) (stale []string, err error) {
	now, err := b.moment(ctx)
	if err != nil {
		return nil, err
	}
	rolled, missing := map[string]*record.Record{}, map[string]bool{}
	again := uint64(0) // the first message with a commit that is left out here
	err = b.read(ctx, now, func(actor string, rev uint64, commit []byte) error {
		switch have := b.revs[actor]; {
		case rev <= have || missing[actor]:
			return nil
		case rev > have+1:
			missing[actor] = true
			if again == 0 {
				again = b.next - 1
			}
			return nil
		}
		rec := rolled[actor]
		if rec == nil {
			snapshot, err := b.to.Load(ctx, actor)
			if errors.Is(err, store.ErrNotFound) {
				snapshot, err = &store.Snapshot{}, nil
			}
			if err != nil {
				return err
			}
			rec = record.Of(snapshot)
			rolled[actor] = rec
		}
		var j journal.Commit
		if err := json.Unmarshal(commit, &j); err != nil {
			return fmt.Errorf("%w: %w", journal.ErrDamaged, err)
		}
		b.revs[actor] = rev
		return applyStored(rec, actor, &j)
	})
	if err != nil {
		return nil, err
	}
	for actor, rec := range rolled {
		if err := b.to.Import(ctx, actor, rec); err != nil {
			return nil, err
		}
	}
	// An actor may have a head with commits up to that moment that are trimmed already. It
	// has none if the journals still have the next commit.
	heads, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	if now, err = b.moment(ctx); err != nil {
		return nil, err
	}
	next := b.next
	after := map[string]bool{}
	err = b.read(ctx, now, func(actor string, rev uint64, _ []byte) error {
		after[actor] = after[actor] || rev == b.revs[actor]+1
		return nil
	})
	if b.next = next; again != 0 {
		b.next = again // what was rolled forward is passed over by its revision
	}
	for actor, rev := range heads {
		if rev > b.revs[actor] && !after[actor] {
			missing[actor] = true
		}
	}
	for actor := range missing {
		stale = append(stale, actor)
	}
	return stale, err
}

// moment returns a sequence of the journals' stream: that of a message of this store's own.
func (b *backup) moment(ctx context.Context) (uint64, error) {
	err := b.own.prove(ctx)
	return b.Newest(), err
}

// read calls f with the commits of all journals, in their order, up to a message.
func (b *backup) read(ctx context.Context, last uint64, f func(actor string, rev uint64, commit []byte) error) error {
	for b.next <= last {
		var some []*nats.Msg
		request := fmt.Sprintf(`{"seq":%d,"next_by_subj":%q,"batch":%d,"max_bytes":%d}`, max(b.next, 1), b.journalOf("*"), scanMessages, scanBytes)
		err := b.ask(ctx, b.journal, request, true, func(messages []*nats.Msg) bool {
			some = messages
			return len(messages) > 0
		})
		if err != nil {
			return err
		}
		for _, m := range some {
			seq, subject := sequence(m), m.Header.Get(jetstream.SubjectHeader)
			if seq > last {
				b.next = last + 1
				break
			}
			b.next = seq + 1
			data := m.Data
			if len(data) > 0 && data[0] == kindPiece {
				p, err := readPiece(data)
				if err != nil {
					return fmt.Errorf("message %d of %s: %w", seq, subject, err)
				}
				if p.i < p.n-1 {
					continue
				}
				// The others may be before the message that this read began with.
				if data, err = b.journals.fetch(ctx, subject, seq); errors.Is(err, errTrimmed) {
					continue
				} else if err != nil {
					return err
				}
			}
			if len(data) == 0 || data[0] != kindGroup {
				continue
			}
			if err := eachCommit(data, f); err != nil {
				return fmt.Errorf("message %d of %s: %w", seq, subject, err)
			}
		}
	}
	return nil
}

func eachCommit(group []byte, f func(actor string, rev uint64, commit []byte) error) error {
	locations, commits, err := splitGroup(group)
	if err != nil {
		return err
	}
	return readLocations(locations, func(at location) error {
		commit, err := cut(commits, journal.Location{Off: at.off, Len: at.len})
		if err != nil {
			return err
		}
		return f(at.actor, at.rev, commit)
	})
}

// secrets copies the secrets.
func (b *backup) secrets(ctx context.Context) error {
	s, err := b.js.Stream(ctx, b.table)
	if err != nil {
		return err
	}
	prefix := b.secret("")
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return err
	}
	for subject := range info.State.Subjects {
		name, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(subject, prefix))
		if err != nil {
			return fmt.Errorf("the subject %s: %w", subject, err)
		}
		err = b.retry(ctx, func(ctx context.Context) (bool, error) {
			_, value, err := b.leaderLast(ctx, b.table, subject)
			if err == nil {
				_, err = b.to.Secret(ctx, string(name), func() []byte { return value })
				return true, err
			}
			return false, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
