package actor

import "time"

// Options of an actor definition. The zero value of each field means the
// default in brackets. Set them with WithOptions, for one definition or for all
// of a registry.
type Options struct {
	// ResumeWindow is how long a connection whose socket is gone may come back
	// as the same connection [2 min]. A long window keeps more connections and a
	// longer log.
	ResumeWindow time.Duration

	// ActionTimeout is when an action's context ends [60 s]. An action that
	// returns later has failed; one that does not return a second later is
	// abandoned with its instance, and the actor goes on from its last commit.
	ActionTimeout time.Duration

	// ConnectTimeout is the same for the turn that connects: OnBeforeConnect,
	// CreateConnState and OnConnect together [5 s].
	ConnectTimeout time.Duration

	// IdleAfter is how long an actor without connections and calls stays in
	// memory [30 s]. Its timers (After, Every) do not keep it there.
	IdleAfter time.Duration

	// LogBytes is how much of the log is kept in memory, about [1 MiB]. Readers
	// further behind are served from the store.
	LogBytes int

	// MaxMessage is the largest event or result, in bytes of JSON [1 MiB]. A
	// turn with a larger one fails with too_large.
	MaxMessage int

	// MaxMailbox is how many calls may wait for a turn [10,000], MaxMailboxBytes how
	// much may wait, calls and connects [16 MiB]; beyond, they fail with overloaded.
	MaxMailbox      int
	MaxMailboxBytes int

	// MaxDetached is how many connections without a socket are kept [10,000];
	// beyond, the one that is gone longest ends early.
	MaxDetached int

	// MaxCallers is how many callers are remembered, for CallerTTL after their
	// last call [10,000, 24 h]. A call that is repeated later than that runs again.
	MaxCallers int
	CallerTTL  time.Duration

	// MaxRunAhead and MaxRunAheadBytes bound how far turns may run ahead of the
	// store [1,000 commits, 1 MiB of outputs]; beyond, the mailbox waits.
	MaxRunAhead      int
	MaxRunAheadBytes int
}
