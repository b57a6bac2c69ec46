package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// fakeServers are the stores' servers: journals, and the saved value of each partition. An
// actor is a partition here, and its state a count, so that a lost or doubled commit shows.
type fakeServers struct {
	*chance
	fault func(format string, args ...any) // reports that a promise was broken

	behind int // one read of the newest message in behind is old; 0: none

	// Broken on purpose.
	noSeal  bool // a seal does not end a journal
	fromAck bool // a lease begins with the acknowledgement, not with the sending
	early   bool // a message says that it was sent a second before that

	mu       sync.Mutex
	journals map[string]*fakeJournal
	saved    [store.Partitions]int
	stored   [store.Partitions]int // the newest commit of any journal
	acked    [store.Partitions]int // the newest that its owner knows of
	damaged  [store.Partitions]int // if not 0, the partition is not saved, and this counts the tries
}

type fakeJournal struct {
	messages []fakeMessage // messages[i] has number i+1
	sealed   bool
	deleted  bool
}

type fakeMessage struct {
	id          string // of the try
	part, value int    // part -1: no commit
	at          time.Time
	sent        time.Duration // by its sender's clock
}

// append adds a message on condition, as every write to a journal is made.
func (f *fakeServers) append(inc string, expected uint64, m fakeMessage, seal bool) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.journals[inc]
	if j == nil || j.deleted || uint64(len(j.messages)) != expected {
		return 0, ErrStale
	}
	if seal && f.noSeal {
		return expected + 1, nil
	}
	m.at = time.Now()
	j.messages = append(j.messages, m)
	j.sealed = j.sealed || seal
	if m.part >= 0 {
		if m.value != f.stored[m.part]+1 {
			f.fault("journal %s: commit %d of partition %d follows %d", inc, m.value, m.part, f.stored[m.part])
		}
		f.stored[m.part] = m.value
	}
	return uint64(len(j.messages)), nil
}

// fakeStore is the store of a process.
type fakeStore struct {
	servers *fakeServers
	process context.Context // ends with the process
	lease   time.Duration
	booted  time.Time     // when its clock began
	way     *fakeRegister // the way to the servers: only its luck is used

	publishing slot   // one message at a time
	seal       uint64 // of the own journal

	mu      sync.Mutex
	inc     string
	last    uint64
	sent    time.Time
	deposed chan struct{}
	over    bool // deposed is closed, or the journal was ended here
	owned   [store.Partitions]bool
	values  [store.Partitions]int

	adopting func(debts, past []Journal) error // may refuse; nil: does not
	saving   func() error                      // likewise
	giving   func() error                      // likewise, for Release
	gathers  atomic.Int64
}

var _ Store = (*fakeStore)(nil)

// send writes to a journal. The write may take place after its caller has given up.
func (s *fakeStore) send(ctx context.Context, inc string, expected uint64, m fakeMessage, seal bool) (seq uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	if s.way.late() {
		time.AfterFunc(s.way.chance.upTo(4*time.Second), func() { _, _ = s.servers.append(inc, expected, m, seal) })
		<-ctx.Done()
		return 0, ctx.Err()
	}
	if err := s.way.way(ctx); err != nil {
		return 0, err
	}
	seq, stale := s.servers.append(inc, expected, m, seal)
	if err := s.way.way(ctx); err != nil {
		return 0, err
	}
	return seq, stale
}

// publish adds a message to a journal, if it is still the own one. If ctx ends, the outcome is
// unknown to the caller, but not to the messages behind it.
func (s *fakeStore) publish(ctx context.Context, inc string, part, value int, seal bool) error {
	done := make(chan error, 1)
	go func() { done <- s.write(inc, part, value, seal) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return store.ErrUnknown
	}
}

// write is publish until the outcome is known.
func (s *fakeStore) write(inc string, part, value int, seal bool) error {
	ctx := s.process
	s.publishing <- struct{}{}
	defer func() { <-s.publishing }()
	s.mu.Lock()
	expected, refused := s.last, s.inc != inc || s.over || part >= 0 && !s.owned[part]
	s.mu.Unlock()
	if refused {
		return store.ErrConflict
	}
	m := fakeMessage{id: fmt.Sprint(inc, expected), part: part, value: value, sent: s.Clock()}
	if s.servers.early {
		m.sent -= time.Second
	}
	first := time.Now()
	for {
		seq, err := s.send(ctx, inc, expected, m, seal)
		if errors.Is(err, ErrStale) {
			seq, err = expected+1, nil
			if !s.servers.has(inc, seq, m.id) {
				s.end(inc)
				return store.ErrConflict
			}
		}
		if err == nil {
			if s.servers.fromAck {
				first = time.Now()
			}
			s.wrote(inc, first, seq, part, value, seal)
			return nil
		}
		if pause(ctx, tryAgain) != nil {
			return store.ErrUnknown
		}
	}
}

// wrote notes that a message is in the journal, unless there is a new one since: the write was
// under way when the journal was given up.
func (s *fakeStore) wrote(inc string, sent time.Time, seq uint64, part, value int, seal bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inc != inc {
		return
	}
	if s.sent = sent; seal {
		s.seal, s.over = seq, true
	} else {
		s.last = seq
	}
	if part >= 0 {
		s.values[part] = value
	}
}

func (f *fakeServers) has(inc string, seq uint64, id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.journals[inc]
	return j != nil && uint64(len(j.messages)) >= seq && j.messages[seq-1].id == id
}

// end says that other nodes have ended a journal.
func (s *fakeStore) end(inc string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inc != inc {
		return
	}
	if !s.over {
		close(s.deposed)
	}
	s.over = true
}

func (s *fakeStore) Begin(ctx context.Context, lease time.Duration) (string, error) {
	if err := s.way.way(ctx); err != nil {
		return "", err
	}
	sent := time.Now()
	s.servers.mu.Lock()
	inc := fmt.Sprintf("inc%d", len(s.servers.journals)+1)
	s.servers.journals[inc] = &fakeJournal{messages: []fakeMessage{{id: "opened", part: -1, sent: s.Clock()}}}
	s.servers.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inc, s.last, s.sent, s.deposed, s.over = inc, 1, sent, make(chan struct{}), false
	s.seal, s.lease = 0, lease
	go s.renew(inc, lease)
	clear(s.owned[:])
	clear(s.values[:])
	return inc, nil
}

// renew keeps the lease of a journal.
func (s *fakeStore) renew(inc string, lease time.Duration) {
	for pause(s.process, lease/12) == nil {
		s.mu.Lock()
		over, idle := s.inc != inc || s.over, time.Since(s.sent)
		s.mu.Unlock()
		if over {
			return
		}
		if idle >= lease/4 {
			_ = s.write(inc, -1, 0, false)
		}
	}
}

func (s *fakeStore) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

func (s *fakeStore) Deposed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deposed
}

func (s *fakeStore) Clock() time.Duration { return time.Since(s.booted) }

func (s *fakeStore) Last() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *fakeStore) Valid() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over && time.Since(s.sent) < s.lease-s.lease/10
}

func (s *fakeStore) Prove(ctx context.Context) error {
	return s.publish(ctx, s.newest(), -1, 0, false)
}

func (s *fakeStore) newest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inc
}

func (s *fakeStore) SealOwn(ctx context.Context) (uint64, error) {
	err := s.publish(ctx, s.newest(), -1, 0, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seal != 0 {
		return s.seal, nil // an earlier try has ended it
	}
	return 0, err
}

func (s *fakeStore) LastOf(ctx context.Context, inc string) (Written, error) {
	if err := s.way.way(ctx); err != nil {
		return Written{}, err
	}
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	j := s.servers.journals[inc]
	n := len(j.messages)
	if n > 1 && s.servers.oneIn(s.servers.behind) {
		return Written{uint64(n - 1), false, j.messages[n-2].sent}, nil // a replica that is behind
	}
	return Written{uint64(n), j.sealed, j.messages[n-1].sent}, nil
}

func (s *fakeStore) Seal(ctx context.Context, inc string, expected uint64) (uint64, error) {
	return s.send(ctx, inc, expected, fakeMessage{id: "seal", part: -1}, true)
}

func (s *fakeStore) Adopt(ctx context.Context, parts []int, debts, past []Journal) error {
	if err := s.way.way(ctx); err != nil {
		return err
	}
	if s.adopting != nil {
		if err := s.adopting(debts, past); err != nil {
			return err
		}
	}
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers.checkPast(s.inc, parts, past)
	for _, p := range parts {
		s.owned[p] = true
		s.values[p] = max(s.values[p], s.servers.saved[p])
		for _, of := range debts {
			j := s.servers.journals[of.Inc]
			if !s.servers.noSeal && (!j.sealed || uint64(len(j.messages)) != of.Seal) {
				s.servers.fault("%s was adopted up to %d and has %d messages", of.Inc, of.Seal, len(j.messages))
			}
			for _, m := range j.messages {
				if m.part == p {
					s.values[p] = max(s.values[p], m.value)
				}
			}
		}
	}
	return nil
}

// checkPast checks that an adopter knows of all journals with entries that clients may need.
func (f *fakeServers) checkPast(adopter string, parts []int, past []Journal) {
	if f.journals[adopter].sealed {
		return // it has lost them again
	}
	for inc, j := range f.journals {
		if slices.ContainsFunc(past, func(of Journal) bool { return of.Inc == inc }) {
			continue
		}
		for _, m := range j.messages {
			if slices.Contains(parts, m.part) && time.Since(m.at) < simWindow {
				f.fault("%s adopts partition %d without the entries that %s has", adopter, m.part, inc)
				return
			}
		}
	}
}

// save writes the values of partitions, which never go back: a store writes them on condition.
func (s *fakeStore) save(ctx context.Context, parts []int) (kept []int, err error) {
	s.mu.Lock()
	values := s.values
	s.mu.Unlock()
	if err := s.way.way(ctx); err != nil {
		return nil, err
	}
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	for _, p := range parts {
		if s.servers.damaged[p] == 0 {
			s.servers.saved[p] = max(s.servers.saved[p], values[p])
			continue
		}
		s.servers.damaged[p]++
		kept = append(kept, p)
	}
	return kept, nil
}

func (s *fakeStore) Save(ctx context.Context, parts []int, _ Journal) error {
	if s.saving != nil {
		if err := s.saving(); err != nil {
			return err
		}
	}
	kept, err := s.save(ctx, parts)
	if len(kept) > 0 {
		return fmt.Errorf("partitions %v are damaged", kept)
	}
	return err
}

func (s *fakeStore) Prepare(ctx context.Context, parts []int) error {
	s.servers.mu.Lock()
	parts = slices.DeleteFunc(slices.Clone(parts), func(p int) bool { return s.servers.damaged[p] != 0 })
	s.servers.mu.Unlock()
	_, err := s.save(ctx, parts)
	return err
}

// Release waits for the message that is under way.
func (s *fakeStore) Release(ctx context.Context, parts []int) (kept []int, err error) {
	select {
	case s.publishing <- struct{}{}:
		defer func() { <-s.publishing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.giving != nil {
		if err := s.giving(); err != nil {
			return nil, err
		}
	}
	if kept, err = s.save(ctx, parts); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		s.owned[p] = slices.Contains(kept, p)
	}
	return kept, nil
}

func (s *fakeStore) Delete(ctx context.Context, of Journal) error {
	if err := s.way.way(ctx); err != nil {
		return err
	}
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	j := s.servers.journals[of.Inc]
	for _, m := range j.messages {
		if m.part >= 0 && time.Since(m.at) < simWindow {
			s.servers.fault("%s was deleted %v after its commit", of.Inc, time.Since(m.at))
		}
		if m.part >= 0 && m.value > s.servers.saved[m.part] {
			s.servers.fault("%s was deleted with commit %d of partition %d, of which %d is saved", of.Inc, m.value, m.part, s.servers.saved[m.part])
		}
	}
	j.deleted = true
	return nil
}

// fakeActors are the actors of a process.
type fakeActors struct {
	turns    [store.Partitions]slot
	adopting time.Duration // how long Adopt takes
	clean    atomic.Int32  // how many were adopted of an owner that gave them away
	unclean  atomic.Int32
}

// slot is a lock that may be held while virtual time passes.
type slot chan struct{}

func newFakeActors() *fakeActors {
	a := &fakeActors{}
	for i := range a.turns {
		a.turns[i] = make(slot, 1)
	}
	return a
}

func (a *fakeActors) Reset([]int) {}

func (a *fakeActors) Adopt(_ int, doubted time.Time) {
	time.Sleep(a.adopting)
	if doubted.IsZero() {
		a.clean.Add(1)
	} else {
		a.unclean.Add(1)
	}
}

// Release waits for the partitions' turns.
func (a *fakeActors) Release(ctx context.Context, parts []int) error {
	for _, part := range parts {
		select {
		case a.turns[part] <- struct{}{}:
			<-a.turns[part]
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

func (s *fakeStore) Gather(context.Context) error {
	s.gathers.Add(1)
	return nil
}

func (s *fakeStore) Tidy(_ context.Context, _ time.Duration, known func(string) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known(s.inc) {
		s.servers.fault("a node that has joined is to be tidied away")
	}
	return nil
}
