package storetest

import (
	"context"
	"slices"
	"sync"

	"github.com/troupe-dev/troupe/backend/store"
)

// HeldStore is a Store whose commits wait until the test releases or fails them,
// for tests that nothing of a commit is visible before it is durable. Make one with
// Held. Its methods may be called at the same time, also in a synctest bubble.
type HeldStore struct {
	store.Store

	mu      sync.Mutex
	changed sync.Cond
	waiting []*heldGroup // Commit calls that wait, oldest first
	allowed int          // Commit calls that need not wait
	open    bool         // none needs to wait
}

// heldGroup is one waiting call of Commit. HeldStore.mu guards it.
type heldGroup struct {
	commits []*store.Commit
	decided bool
	fail    error // not nil: the error of each commit of the group
	lost    bool  // with fail: nothing is stored
}

// Held returns a Store that commits to s. Loading and reading do not wait. Close
// closes s.
func Held(s store.Store) *HeldStore {
	h := &HeldStore{Store: s}
	h.changed.L = &h.mu
	return h
}

// Immediate implements store.Store: Commit waits for the test.
func (h *HeldStore) Immediate() bool { return false }

// Commit implements store.Store. It waits for Release, ReleaseAll, Fail or
// KeepUnknown. If ctx ends first, it stores nothing and returns the cause.
func (h *HeldStore) Commit(ctx context.Context, group []*store.Commit) []error {
	g := h.wait(ctx, group)
	var errs []error
	if !g.lost {
		errs = h.Store.Commit(ctx, group)
	}
	if g.fail == nil {
		return errs
	}
	return slices.Repeat([]error{g.fail}, len(group))
}

// wait returns once the test has released or failed a group.
func (h *HeldStore) wait(ctx context.Context, group []*store.Commit) *heldGroup {
	g := &heldGroup{commits: group}
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.decideLocked(g, context.Cause(ctx), true)
	})
	defer stop()

	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open || h.allowed > 0 {
		h.allowed = max(0, h.allowed-1)
		g.decided = true
		return g
	}
	h.waiting = append(h.waiting, g)
	h.changed.Broadcast()
	for !g.decided {
		h.changed.Wait()
	}
	return g
}

func (h *HeldStore) decideLocked(g *heldGroup, fail error, lost bool) {
	if g.decided {
		return
	}
	g.decided, g.fail, g.lost = true, fail, lost
	h.waiting = slices.DeleteFunc(h.waiting, func(w *heldGroup) bool { return w == g })
	h.changed.Broadcast()
}

// Wait returns once at least n commits are waiting. Commits that the runtime
// has not yet passed to Commit do not count: a runtime that passes one group
// after the other has only one group waiting.
func (h *HeldStore) Wait(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.waitingLocked()) < n {
		h.changed.Wait()
	}
}

// Waiting returns the commits that are waiting, in the order in which they came.
func (h *HeldStore) Waiting() []*store.Commit {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waitingLocked()
}

func (h *HeldStore) waitingLocked() []*store.Commit {
	var commits []*store.Commit
	for _, g := range h.waiting {
		commits = append(commits, g.commits...)
	}
	return commits
}

// Release releases n calls of Commit: the oldest waiting ones and, if there are
// fewer, the next ones.
func (h *HeldStore) Release(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range n {
		if len(h.waiting) == 0 {
			h.allowed++
			continue
		}
		h.decideLocked(h.waiting[0], nil, false)
	}
}

// ReleaseAll releases all waiting calls of Commit, and all later ones.
func (h *HeldStore) ReleaseAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = true
	for len(h.waiting) > 0 {
		h.decideLocked(h.waiting[0], nil, false)
	}
}

// HoldAgain makes later calls of Commit wait again, whatever Release and ReleaseAll
// allowed.
func (h *HeldStore) HoldAgain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open, h.allowed = false, 0
}

// Fail fails every commit of the oldest waiting call of Commit with err, and
// stores nothing of it. It waits for a call if there is none.
func (h *HeldStore) Fail(err error) { h.decideNext(err, true) }

// KeepUnknown stores the oldest waiting group, but fails every commit of it with
// store.ErrUnknown: the group is durable, but its writer cannot know. It waits for
// a call of Commit if there is none. (Fail(store.ErrUnknown) is its opposite.)
func (h *HeldStore) KeepUnknown() { h.decideNext(store.ErrUnknown, false) }

func (h *HeldStore) decideNext(err error, lost bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.waiting) == 0 {
		h.changed.Wait()
	}
	h.decideLocked(h.waiting[0], err, lost)
}
