package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/cluster/link"
	"github.com/troupe-dev/troupe/backend/internal/metric"
	"github.com/troupe-dev/troupe/backend/store"
)

// Journal is the journal of an incarnation.
type Journal struct {
	Inc  string // whose
	Seal uint64 // the message that ended it; 0 if it may go on
}

// Written is the newest message of a journal.
type Written struct {
	Seq    uint64        // its number
	Sealed bool          // it ended the journal
	Sent   time.Duration // when its owner began to send it, on the owner's Clock; 0: not known
}

// Store is the store of a node, as its membership needs it. The store writes commits to a
// journal, one per incarnation. All methods may be called at the same time.
type Store interface {
	store.Owner

	// Begin starts a new journal and returns its id, which has never been used before. The store
	// gives up all its partitions. While nothing else is written, it adds messages to the journal
	// by itself to renew the lease, until the journal ends.
	Begin(ctx context.Context, lease time.Duration) (inc string, err error)

	// Abandon gives the newest journal up without ending it, as if the process were killed: the
	// store writes nothing to it any more, and Valid is false.
	Abandon()

	// Deposed is closed when the store learns that another node has ended the newest journal.
	Deposed() <-chan struct{}

	// Clock returns the time on the clock by which Valid is decided.
	Clock() time.Duration

	// Last returns the number of the newest acknowledged message of the newest journal, which
	// is not one that ends it.
	Last() uint64

	// LastOf returns the newest message of a journal that it finds. There may be newer ones.
	LastOf(ctx context.Context, inc string) (Written, error)

	// Seal ends a journal if its newest message has the expected number. If it has not, the
	// error is ErrStale. After another error the journal may have been ended, or may still be.
	Seal(ctx context.Context, inc string, expected uint64) (seal uint64, err error)

	// SealOwn ends the newest journal.
	SealOwn(ctx context.Context) (seal uint64, err error)

	// Adopt takes partitions. It returns once the store knows all commits to their actors. Those
	// of debts are in the journals only; those of past are saved, and the journals
	// have entries that clients may still need. The newest journal may be among these.
	Adopt(ctx context.Context, parts []int, debts, past []Journal) error

	// Save saves what a journal of Adopt's debts has of the actors of partitions.
	Save(ctx context.Context, parts []int, of Journal) error

	// Prepare saves what is not saved of the actors of partitions, which go on: Release has less
	// to do then.
	Prepare(ctx context.Context, parts []int) error

	// Release saves what is not saved of the actors of partitions, and gives them up. It keeps
	// those of which an actor cannot be saved because what is stored of it is damaged: the journal
	// has the only copy of its newest commits.
	Release(ctx context.Context, parts []int) (kept []int, err error)

	// Delete deletes a journal that has ended and to which nobody owes anything.
	Delete(ctx context.Context, of Journal) error

	// Tidy deletes the journals of incarnations that are not known, without commits, to which
	// nothing was added for some time.
	Tidy(ctx context.Context, quiet time.Duration, known func(inc string) bool) error

	// Gather has one of the servers lead all streams: then the death of another one elects nobody.
	// What is written meanwhile waits for a moment.
	Gather(ctx context.Context) error
}

// ErrStale says that a conditional write did not take place, and never will: there was
// something newer than expected.
var ErrStale = errors.New("cluster: there is something newer than expected")

// actors are the actors of a node, by partition. All methods may be called at the same time.
type actors interface {
	// Adopt says that the node has a partition from now on. doubted is the time up to which messages
	// of its actors may be why an owner before has died; zero: none are.
	Adopt(part int, doubted time.Time)

	// Release ends the actors of partitions that the node is giving away: requests are refused
	// already. It returns when their commits are durable.
	Release(ctx context.Context, parts []int) error

	// Reset drops the actors of partitions that the node has lost.
	Reset(parts []int)
}

// speaker speaks to other nodes for as long as a node has a slot. *Port is one.
type speaker interface {
	Join(bus link.Bus, slot uint32) error
	Changed() // says that what Placement says has changed

	// Unsure reports whether something that an actor of a partition has sent may have ended another
	// node, of which nobody knows yet whether it has died.
	Unsure(part int) bool

	Leave()
}

// options are the options of a member.
type options struct {
	Node   node          // without what the table decides
	Lease  time.Duration // how long a node may answer after its newest message; others wait for so long
	Window time.Duration // how long clients may need the entries of a journal
	Logger *slog.Logger
}

// member is a process in a cluster. If it loses its journal to another node, it joins again as a
// new incarnation.
type member struct {
	options
	store    Store
	actors   actors
	register register
	bus      link.Bus
	speaker  speaker // nil: none

	// since has when the node got a partition, with the monotonic clock; nil if it does not have it.
	since [store.Partitions]atomic.Pointer[time.Time]

	view atomic.Pointer[view] // nil between two incarnations

	seals  atomic.Uint64    // journals of other nodes that this one has ended
	adopts metric.Histogram // how long it took to take partitions over

	joined     chan struct{} // closed when the first incarnation has joined
	handedOver chan struct{} // closed when the partitions were given away
	left       chan struct{} // closed when run has returned

	mu      sync.Mutex
	leaving chan struct{} // closed by give, under mu
	ending  chan struct{} // closed by leave, under mu
}

var _ Placement = (*member)(nil)

func newMember(o options, s Store, a actors, r register, b link.Bus) *member {
	return &member{options: o, store: s, actors: a, register: r, bus: b,
		joined: make(chan struct{}), handedOver: make(chan struct{}), left: make(chan struct{}), leaving: make(chan struct{}), ending: make(chan struct{})}
}

// owns returns since when the node has the partition of an actor. The node must not do anything
// for actors that it does not own; with store.Owner that makes one owner at a time.
func (m *member) owns(part int) (since time.Time, ok bool) {
	at := m.since[part].Load()
	if at == nil {
		return time.Time{}, false
	}
	return *at, true
}

// view is what a node knows that has joined.
type view struct {
	table *table
	slot  uint32
}

// table returns the newest table that the node knows, and its slot; nil if it has not joined.
func (m *member) table() (*table, uint32) {
	v := m.view.Load()
	if v == nil {
		return nil, 0
	}
	return v.table, v.slot
}

// Owner implements Placement. Of a partition that the node does not serve yet, or no longer, the
// owner is not known.
func (m *member) Owner(part int) (owner, self uint32) {
	t, self := m.table()
	if t == nil {
		return 0, 0
	}
	if owner = t.Owner[part]; owner == self && m.since[part].Load() == nil {
		owner = 0
	}
	return owner, self
}

// Await implements Placement.
func (m *member) Await(ctx context.Context, part int, was uint32) {
	for {
		if owner, _ := m.Owner(part); owner != was && owner != 0 {
			return
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return
		}
	}
}

// Alive implements Placement.
func (m *member) Alive(slot uint32) bool {
	t, _ := m.table()
	if t == nil {
		return false
	}
	n := t.slot(slot)
	return n != nil && n.State != sealed
}

// Version implements Placement.
func (m *member) Version() uint64 {
	if t, _ := m.table(); t != nil {
		return t.Version
	}
	return 0
}

var errDeposed = errors.New("cluster: another node has ended this node's journal")

// run keeps the process in the cluster until leave, or until ctx ends as if the process were
// killed. An error is a reason for which it can not be a member.
func (m *member) run(ctx context.Context) error {
	defer close(m.left)
	for {
		err := m.live(ctx)
		if !errors.Is(err, errDeposed) {
			return err
		}
		select {
		case <-m.leaving:
			return nil // others have its partitions already
		default:
		}
		m.Logger.Warn("another node has taken over this node's actors: it joins again", "node", m.Node.Name)
	}
}

// life is an incarnation.
type life struct {
	*member
	inc    string
	tables *tables
	end    context.CancelCauseFunc // ends the incarnation
	wake   [loops]chan struct{}    // each loop's, when the table has changed

	mu      sync.Mutex // guards the fields below
	slot    uint32     // 0 until it has joined
	places  [store.Partitions]placing
	given   [store.Partitions]time.Time // when it last gave a partition away
	kept    [store.Partitions]time.Time // when it last could not: the store kept it
	watched map[uint32]*watched         // the other nodes, by slot
	dead    map[uint32]uint64           // seals that the table may not have yet, by slot
}

// The loops of an incarnation that follow the table.
const (
	adopting = iota
	giving
	saving
	burying
	joining
	speaking
	loops
)

// live is one incarnation, from its beginning to its end.
func (m *member) live(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	l := &life{member: m, end: end, watched: map[uint32]*watched{}, dead: map[uint32]uint64{}}
	for i := range l.wake {
		l.wake[i] = make(chan struct{}, 1)
	}
	if err := m.again(ctx, "begin a journal", func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, tryFor)
		defer cancel()
		l.inc, err = m.store.Begin(ctx, m.Lease)
		return err
	}); err != nil {
		return err
	}
	defer m.store.Abandon()
	l.tables = newTables(m.register, l.inc, l.changed)
	if err := m.again(ctx, "read the table", l.tables.refresh); err != nil {
		return err
	}
	stop, err := m.bus.Subscribe(aliveSubject, l.hearAlive)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	defer stop()

	var wait sync.WaitGroup
	defer func() {
		end(nil)
		m.disown() // before anything else
		wait.Wait()
		m.disown()
		m.view.Store(nil)
		var had []int
		for part, place := range l.places {
			if place != away {
				had = append(had, part)
			}
		}
		m.actors.Reset(had)
		if m.speaker != nil {
			m.speaker.Leave()
		}
	}()
	wait.Go(func() {
		select {
		case <-m.store.Deposed():
			end(errDeposed)
		case <-ctx.Done():
		}
	})
	wait.Go(func() { l.observeLoop(ctx, &wait) })
	if err := l.join(ctx); err != nil {
		return cause(ctx, err)
	}
	if m.speaker != nil {
		if err := m.speaker.Join(m.bus, l.slot); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
		wait.Go(func() { l.speakLoop(ctx) })
	}
	m.Logger.Info("joined the cluster", "node", m.Node.Name, "slot", l.slot, "up", l.tables.newest().names())
	m.begin(m.joined)
	wait.Go(func() { l.beatLoop(ctx) })
	wait.Go(func() { l.adoptLoop(ctx) })
	wait.Go(func() { l.giveLoop(ctx) })
	wait.Go(func() { l.saveLoop(ctx) })
	wait.Go(func() { l.buryLoop(ctx) })
	wait.Go(func() { l.tidyLoop(ctx) })

	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-m.leaving:
		return cause(ctx, l.leaveTable(ctx))
	}
}

// speakLoop says what has changed to who speaks to other nodes.
func (l *life) speakLoop(ctx context.Context) {
	other := map[uint32]bool{} // nodes of another release
	for l.await(ctx, speaking, 10*time.Second) {
		l.speaker.Changed()
		for _, n := range l.tables.newest().Nodes {
			if n.State != sealed && !other[n.Slot] && (n.Contract != l.Node.Contract || !maps.Equal(n.Versions, l.Node.Versions)) {
				other[n.Slot] = true
				l.Logger.Warn("cluster: another node has other actors, or other versions of them: until all nodes run the same release, "+
					"clients may meet either", "node", l.Node.Name, "other", n.Name)
			}
		}
	}
}

// disown says that the node has no partition.
func (m *member) disown() {
	for part := range m.since {
		m.since[part].Store(nil)
	}
}

// cause returns why ctx has ended, or err if it has not.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, store.ErrConflict) {
		return errDeposed
	}
	return err
}

// again calls f until it returns nil, ctx ends, or the error can not go away.
func (m *member) again(ctx context.Context, what string, f func(context.Context) error) error {
	for tries := 0; ; tries++ {
		err := f(ctx)
		if err == nil || errors.Is(err, errDamaged) || errors.Is(err, store.ErrConflict) {
			return err
		}
		if tries%20 == 4 {
			m.Logger.Warn("cluster: cannot "+what+", and tries again: are most of the NATS servers up, and do they reach each other?", "node", m.Node.Name, "error", err)
		}
		if pause(ctx, tryAgain) != nil {
			return context.Cause(ctx)
		}
	}
}

// join puts the incarnation into the table, with the seals of nodes that have died: after a
// crash of all nodes there is nobody else to write them.
func (l *life) join(ctx context.Context) error {
	waited := time.Now()
	for {
		if err := l.again(ctx, "read the table", l.tables.refresh); err != nil {
			return err
		}
		made, err := l.tables.change(ctx, func(next *table) error {
			l.sealDead(next)
			n := l.Node
			n.Inc, n.Lease = l.inc, l.Lease
			return next.join(n)
		})
		if err == nil {
			l.mu.Lock()
			l.slot = made.inc(l.inc).Slot
			l.mu.Unlock()
			l.changed(made) // it did not know its slot when the table changed
			l.announce()
			return nil
		}
		// The name may be that of this process's last run, which has crashed, and all nodes may
		// have crashed and been given another lease.
		if !errors.Is(err, errNameTaken) && !errors.Is(err, errLease) || time.Since(waited) > 5*l.tables.newest().longestLease(l.Lease) {
			return err
		}
		if !l.await(ctx, joining, l.Lease/6) {
			return ctx.Err()
		}
	}
}

// changed hears of a new table.
func (l *life) changed(next *table) {
	l.mu.Lock()
	slot := l.slot
	if slot != 0 && (l.view.Load() == nil || l.view.Load().table.Version <= next.Version) {
		l.view.Store(&view{next, slot})
	}
	l.mu.Unlock()
	for _, c := range l.wake { // not before: they look at the view
		select {
		case c <- struct{}{}:
		default:
		}
	}
	if me := next.inc(l.inc); slot != 0 && (me == nil || me.State == sealed) {
		select {
		case <-l.leaving: // it has done that itself
		default:
			l.end(errDeposed)
		}
	}
}

// await waits until the table changes or some time has passed. It is false if ctx has ended.
func (l *life) await(ctx context.Context, loop int, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-l.wake[loop]:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
