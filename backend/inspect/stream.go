package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// A page has one stream of server-sent events, which says what has changed on it.
const (
	livePeriod  = 250 * time.Millisecond // between looks at an actor that has turns
	quietPeriod = time.Second            // between looks at one that has none
	liveShare   = 20                     // looks take at most one part in so many of the time
	liveEntries = 60                     // of a log that are shown at a time
	keepAlive   = 15 * time.Second
	sendTimeout = 10 * time.Second
	maxStreams  = 50
)

// events writes server-sent events. Its methods return an error when the page is gone.
type events struct {
	w    http.ResponseWriter
	last time.Time
}

func (e *events) send(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return e.write("event: " + name + "\ndata: " + string(data) + "\n\n")
}

// tend keeps proxies and browsers from giving the stream up.
func (e *events) tend() error {
	if time.Since(e.last) < keepAlive {
		return nil
	}
	return e.write(":\n\n")
}

func (e *events) write(text string) error {
	e.last = time.Now()
	c := http.NewResponseController(e.w)
	_ = c.SetWriteDeadline(time.Now().Add(sendTimeout)) // not every writer has deadlines
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return c.Flush()
}

// stream serves a stream for a page: view=overview, or view=actor with the actor's id.
func (i *Inspector) stream(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stop := context.AfterFunc(i.life, cancel)
	defer stop()
	e := &events{w: w}
	live := map[string]func(context.Context, *events, *http.Request) error{"overview": i.liveOverview, "actor": i.liveActor}[r.URL.Query().Get("view")]
	if live == nil {
		writeError(w, http.StatusBadRequest, wire.CodeMalformed, "want view=overview, or view=actor and an id")
		return
	}
	defer i.streams.Add(-1)
	if i.streams.Add(1) > maxStreams {
		i.fail(w, host.Faultf(wire.CodeOverloaded, "the inspector has %d pages open, the limit: close one", maxStreams))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if err := live(ctx, e, r); err != nil && ctx.Err() == nil {
		var f *host.Fault
		if !errors.As(err, &f) {
			f = host.Faultf(wire.CodeUnavailable, "%v", err)
		}
		_ = e.send("gone", map[string]string{"code": f.Code, "message": f.Message}) // an error means that the page is gone
	}
}

// liveOverview sends all samples, then each new one, and now and then how many actors are
// stored.
func (i *Inspector) liveOverview(ctx context.Context, e *events, _ *http.Request) error {
	all, changed := i.samples.all()
	if err := e.send("overview", overview{Version: i.o.Version, Write: i.o.Write, PeriodMs: samplePeriod.Milliseconds(), Samples: all}); err != nil {
		return err
	}
	counted := time.Time{}
	var known *clusterInfo
	for {
		if now := i.cluster(); !reflect.DeepEqual(now, known) {
			if err := e.send("cluster", now); err != nil {
				return err
			}
			known = now
		}
		if time.Since(counted) >= storedAfter {
			if stored, err := i.node.Stored(ctx); err == nil { // else it is tried again
				if err := e.send("stored", stored); err != nil {
					return err
				}
			}
			counted = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		all, changed = i.samples.newest()
		for _, s := range all {
			if err := e.send("sample", s); err != nil {
				return err
			}
		}
	}
}

// liveActor sends an actor whenever something of it has changed, what is new in its log, and
// its turns.
func (i *Inspector) liveActor(ctx context.Context, e *events, r *http.Request) error {
	id := r.URL.Query().Get("id")
	q := runtime.LookQuery{MaxState: liveState, Params: r.URL.Query().Get("params") == "1", After: uint32(intArg(r, "after", 0, 0, 1<<31)), Conns: pageRows}
	watch := i.node.WatchTurns(id)
	defer watch.Close()
	var tail *runtime.LogTail
	var before []byte
	var turns uint64
	var soonest, next time.Time // when to look again: at a turn, and without one
	for {
		records, n := watch.After(turns)
		missed := n - turns - uint64(len(records))
		turns = n
		begin := time.Now()
		if !begin.Before(next) || len(records) > 0 && !begin.Before(soonest) {
			a, err := i.lookSoon(ctx, id, q)
			if isGone(err) {
				return err
			}
			soonest = begin.Add(liveShare * time.Since(begin))
			next = begin.Add(max(quietPeriod, liveShare*time.Since(begin)))
			if err == nil {
				if tail == nil {
					tail = i.node.Tail(a.Name, id)
				}
				now, err := json.Marshal(a)
				if err != nil {
					return err
				}
				if !bytes.Equal(now, before) {
					before = now
					if err := e.send("actor", json.RawMessage(now)); err != nil {
						return err
					}
				}
			}
		}
		if tail != nil {
			entries, skipped, err := tail.Next(ctx, liveEntries, maxData)
			if isGone(err) {
				return err
			}
			if len(entries) > 0 || skipped > 0 {
				if err := e.send("log", map[string]any{"entries": entriesOf(entries), "skipped": skipped}); err != nil {
					return err
				}
			}
		}
		if len(records) > 0 {
			if err := e.send("turns", map[string]any{"turns": turnsOf(records), "skipped": missed}); err != nil {
				return err
			}
		}
		if err := e.tend(); err != nil {
			return err
		}
		if !pause(ctx, livePeriod) {
			return nil
		}
	}
}

// isGone reports whether an error says that there is no such actor any more. Others, such as
// those of a slow store, pass.
func isGone(err error) bool {
	var f *host.Fault
	return errors.As(err, &f) && f.Code == wire.CodeNotFound || errors.Is(err, store.ErrNotFound)
}

// lookSoon is look that does not wait for a turn for long.
func (i *Inspector) lookSoon(ctx context.Context, id string, q runtime.LookQuery) (*actor, error) {
	ctx, cancel := context.WithTimeout(ctx, livePeriod)
	defer cancel()
	return look(ctx, i.node, i.gateway, id, q)
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
