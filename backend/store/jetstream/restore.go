package jetstream

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/pages"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// Source is a store that a cluster is filled from, such as a backup.
type Source interface {
	// Actors calls f with all actors, one after the other, and returns its error.
	Actors(ctx context.Context, f func(Stored) error) error

	// Secrets returns the secrets by name.
	Secrets(ctx context.Context) (map[string][]byte, error)
}

// Stored is an actor of a Source.
type Stored struct {
	Snapshot *store.Snapshot
	Items    func(ctx context.Context, q store.ItemRange) (store.ItemPage, error) // until f returns
}

// ErrNotEmpty is the error of a Restore into streams that have actors. No actor is changed; nodes
// may have to join again.
var ErrNotEmpty = errors.New("the cluster has actors already, and a restore needs empty streams: to replace them, stop all nodes and delete the streams")

// errRestoring is the error of a store that is opened while streams are filled.
var errRestoring = errors.New("a restore has not ended: wait for it, or run it again if it was interrupted")

// restoreLease is how long a restore may be silent until another one may take its place, if
// Options have no Lease.
const restoreLease = 10 * time.Second

// Restore fills empty streams with the actors of another store: the inverse of Backup. All logs
// get new identities, so that clients that have seen more than the source has learn that they
// lost events. It returns how many actors it has written.
//
// Nodes may run, as long as they have no actors: they lose their journals and cannot join again
// until the restore has ended. Secrets that they have made are replaced, so they must be
// restarted. If the streams have actors, the error wraps ErrNotEmpty. A restore that was
// interrupted leaves streams that no node can use; another one begins from the start.
func Restore(ctx context.Context, nc *nats.Conn, o Options, from Source) (actors int, err error) {
	o = o.withDefaults()
	o.Lease = cmp.Or(o.Lease, restoreLease)
	c, err := newClient(nc, o)
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	err = c.makeStreams(ctx, o.Replicas)
	var s *Store
	if err == nil {
		s, err = open(ctx, c, o)
	}
	if err != nil {
		c.direct.close()
		return 0, fmt.Errorf("restore: %w", err)
	}
	r := &restore{Store: s}
	err = r.run(ctx, from)
	if closeErr := s.Close(); closeErr == nil {
		err = errors.Join(err, s.Purge(context.WithoutCancel(ctx), Journal{s.Incarnation(), s.Newest()}))
	} else {
		err = errors.Join(err, closeErr)
	}
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	return r.written, nil
}

// restore is a Restore that is under way.
type restore struct {
	*Store
	marker  uint64 // the sequence of the marker; 0: there is none
	written int
}

// marker is a message that keeps nodes from using the streams.
type marker struct {
	By      string // the journal of the restore
	Writing bool   // there were no actors: those that are there now are of restores
}

func (c *client) markerSubject() string { return c.prefix + ".t.restore" }

// readMarker returns the marker and its sequence; 0 if there is none.
func (c *client) readMarker(ctx context.Context) (m marker, seq uint64, err error) {
	err = c.retry(ctx, func(ctx context.Context) (bool, error) {
		var data []byte
		var err error
		if seq, data, err = c.leaderLast(ctx, c.table, c.markerSubject()); err != nil || seq == 0 {
			return false, err
		}
		return true, json.Unmarshal(data, &m)
	})
	return m, seq, err
}

// checkRestored returns an error if streams are being filled.
func (c *client) checkRestored(ctx context.Context) error {
	_, seq, err := c.readMarker(ctx)
	if err == nil && seq != 0 {
		err = errRestoring
	}
	return err
}

// mark replaces the marker.
func (r *restore) mark(ctx context.Context, m marker) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return r.retry(ctx, func(ctx context.Context) (bool, error) {
		seq, err := r.publish(ctx, expect(&nats.Msg{Subject: r.markerSubject(), Data: data}, r.marker))
		if code(err) == codeWrongLast {
			found, now, lookErr := r.client.readMarker(ctx)
			if lookErr != nil || found != m {
				return true, errors.Join(errors.New("another restore is under way"), lookErr)
			}
			seq, err = now, nil // an earlier try
		}
		if err == nil {
			r.marker = seq
		}
		return false, err
	})
}

// unmark removes the marker.
func (r *restore) unmark(ctx context.Context) error {
	return r.retry(ctx, func(ctx context.Context) (bool, error) {
		s, err := r.js.Stream(ctx, r.table)
		if err != nil {
			return false, err
		}
		return false, s.Purge(ctx, jetstream.WithPurgeSubject(r.markerSubject()), jetstream.WithPurgeSequence(r.marker+1))
	})
}

func (r *restore) run(ctx context.Context, from Source) error {
	m, seq, err := r.client.readMarker(ctx)
	if err != nil {
		return err
	}
	if r.marker = seq; seq != 0 {
		if err := r.supersede(ctx, m.By); err != nil {
			return err
		}
	} else if err := r.checkEmpty(ctx); err != nil {
		return err
	}
	m.By = r.Incarnation()
	if err := r.mark(ctx, m); err != nil {
		return err
	}
	if err := r.begin(ctx, &m); err != nil {
		return err
	}
	if err := r.copyAll(ctx, from); err != nil {
		return err
	}
	heads, err := r.count(ctx)
	if err != nil {
		return err
	}
	if heads != r.written {
		return fmt.Errorf("%d actors were written, and there are %d: another restore has written, too: run it again", r.written, heads)
	}
	return r.unmark(ctx)
}

// supersede ends the journal of a restore that was interrupted.
func (r *restore) supersede(ctx context.Context, by string) error {
	last, err := r.Last(ctx, by)
	if err != nil || last.Seq == 0 || last.Sealed {
		return err
	}
	if err := wait(ctx, r.options.Lease); err != nil {
		return err
	}
	if _, err = r.Seal(ctx, by, last.Seq); errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("another restore is under way: %w", err)
	}
	return err
}

// begin makes sure that nobody else writes, and that there are no actors.
func (r *restore) begin(ctx context.Context, m *marker) error {
	if m.Writing { // what is there is of a restore that was interrupted
		for stream, subjects := range map[string]string{r.state: r.prefix + ".s.>", r.items: r.prefix + ".i.>"} {
			err := r.retry(ctx, func(ctx context.Context) (bool, error) {
				s, err := r.js.Stream(ctx, stream)
				if err != nil {
					return false, err
				}
				return false, s.Purge(ctx, jetstream.WithPurgeSubject(subjects))
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := r.adopter.sealOthers(ctx); err != nil {
		return err
	}
	if err := r.checkEmpty(ctx); err != nil {
		return errors.Join(err, r.unmark(ctx))
	}
	m.Writing = true
	return r.mark(ctx, *m)
}

// checkEmpty returns an error if there are actors.
func (r *restore) checkEmpty(ctx context.Context) error {
	if n, err := r.count(ctx); err != nil || n > 0 {
		return errors.Join(err, notEmpty(n))
	}
	all, err := r.journals.all(ctx)
	if err != nil {
		return err
	}
	for _, name := range all {
		last, err := r.journals.last(ctx, name)
		if err != nil {
			return err
		}
		if groups, _, err := r.journals.scan(ctx, name, last.Seq); err != nil || len(groups) > 0 {
			return errors.Join(err, notEmpty(len(groups)))
		}
	}
	return nil
}

func notEmpty(n int) error {
	if n == 0 {
		return nil
	}
	return ErrNotEmpty
}

// count returns the number of heads.
func (r *restore) count(ctx context.Context) (n int, err error) {
	err = r.retry(ctx, func(ctx context.Context) (bool, error) {
		s, err := r.js.Stream(ctx, r.state)
		if err != nil {
			return false, err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(r.prefix+".s.a.>"))
		if err == nil {
			n = len(info.State.Subjects)
		}
		return false, err
	})
	return n, err
}

// What a restore writes at once: as many actors as it has room, and fewer whose states are large.
// All of them are in memory.
const (
	restoreRoom = 32
	restoreUnit = 1 << 20 // bytes of a state that take the room of another actor
)

// copyAll writes the actors and the secrets.
func (r *restore) copyAll(ctx context.Context, from Source) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	room := make(chan struct{}, restoreRoom)
	var writing sync.WaitGroup
	err := from.Actors(ctx, func(a Stored) error {
		r.written++
		if len(a.Snapshot.Tables) > 0 { // its items can be read now only
			return r.copyActor(ctx, a)
		}
		takes := min(1+len(a.Snapshot.State)/restoreUnit, restoreRoom)
		for range takes {
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		writing.Go(func() {
			if err := r.copyActor(ctx, a); err != nil {
				cancel(err)
			}
			for range takes {
				<-room
			}
		})
		return nil
	})
	writing.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	secrets, err := from.Secrets(ctx)
	if err != nil {
		return err
	}
	for name, value := range secrets {
		err := r.retry(ctx, func(ctx context.Context) (bool, error) {
			_, err := r.publish(ctx, &nats.Msg{Subject: r.secret(name), Data: value})
			return false, err
		})
		if err != nil {
			return fmt.Errorf("the secret %s: %w", name, err)
		}
	}
	return nil
}

// copyActor writes an actor: its pages, and then its head.
func (r *restore) copyActor(ctx context.Context, a Stored) error {
	actor := a.Snapshot.Actor
	if !isToken(actor) || !isToken(a.Snapshot.Name) {
		return fmt.Errorf("the actor %q of the definition %q cannot be in a cluster: it has no valid name", actor, a.Snapshot.Name)
	}
	rec := record.Of(a.Snapshot)
	rec.Log = newLogID()
	snapshot := freeze(actor, rec)
	snapshot.roots = map[int]pages.Root{}
	var gone []pages.Name
	for _, table := range a.Snapshot.Tables {
		root, replaced, err := r.copyTable(ctx, a, table.ID)
		if err != nil {
			return fmt.Errorf("table %s of actor %s: %w", table.Field, actor, err)
		}
		if len(root.Refs) > 0 {
			snapshot.roots[table.ID] = root
		}
		gone = append(gone, replaced...)
	}
	if _, err := r.heads.write(ctx, snapshot, journal.Message{}, !snapshot.wake.isEmpty()); err != nil {
		return fmt.Errorf("actor %s: %w", actor, err)
	}
	return r.keeper.tables.delete(ctx, []garbage{{actor: actor, names: gone}})
}

// copyTable writes the items of a table, and returns its root and the pages that it does not need.
func (r *restore) copyTable(ctx context.Context, a Stored, table int) (root pages.Root, gone []pages.Name, err error) {
	const slice, most = 1 << 20, 1 << 20 // bytes and items
	of := actorPages{r.heads, a.Snapshot.Actor, true}
	for q := (store.ItemRange{Table: table, Limit: most, MaxBytes: slice}); ; {
		page, err := a.Items(ctx, q)
		if err != nil || len(page.Items) == 0 {
			return root, gone, err
		}
		folded, err := pages.Fold(ctx, of, root, page.Items, r.keeper.tables.name)
		if err != nil {
			return root, gone, err
		}
		root, gone = folded.Root, append(gone, folded.Replaced...)
		if !page.More {
			return root, gone, nil
		}
		q.From = append(append([]byte(nil), page.Items[len(page.Items)-1].Key...), 0) // the next key there can be
	}
}

// newLogID returns the identity of a log.
func newLogID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return hex.EncodeToString(b[:])
}
