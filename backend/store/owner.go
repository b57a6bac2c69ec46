package store

import "context"

// An Owner is a Store whose actors another process may take over at any time. A store
// that keeps others out for as long as it is open does not implement it.
//
// The output gate asks it before anything leaves the process that no commit vouches
// for: a commit of a deposed owner fails, but an answer made from memory would be stale
// (G10). The idea is a lease that the owner renews by writing: see Lamport's and Gray's
// leases, with the owner's own journal in place of a lock service.
type Owner interface {
	// Valid reports whether this process is certain to own its actors at the moment.
	// It does not wait.
	Valid() bool

	// Prove returns nil once the store has confirmed that this process owned its
	// actors when Prove was called. A commit that succeeds proves the same of the call of
	// Commit, which never is Immediate. The error wraps ErrConflict if another process
	// has taken over, for good, and ErrUnknown if that could not be found out.
	Prove(ctx context.Context) error
}
