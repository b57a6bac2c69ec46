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

// merge fills the zero fields of o from d.
func (o Options) merge(d Options) Options {
	set(&o.ResumeWindow, d.ResumeWindow)
	set(&o.ActionTimeout, d.ActionTimeout)
	set(&o.ConnectTimeout, d.ConnectTimeout)
	set(&o.IdleAfter, d.IdleAfter)
	set(&o.LogBytes, d.LogBytes)
	set(&o.MaxMessage, d.MaxMessage)
	set(&o.MaxMailbox, d.MaxMailbox)
	set(&o.MaxMailboxBytes, d.MaxMailboxBytes)
	set(&o.MaxDetached, d.MaxDetached)
	set(&o.MaxCallers, d.MaxCallers)
	set(&o.CallerTTL, d.CallerTTL)
	set(&o.MaxRunAhead, d.MaxRunAhead)
	set(&o.MaxRunAheadBytes, d.MaxRunAheadBytes)
	return o
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var defaultOptions = Options{
	ResumeWindow:     2 * time.Minute,
	ActionTimeout:    60 * time.Second,
	ConnectTimeout:   5 * time.Second,
	IdleAfter:        30 * time.Second,
	LogBytes:         1 << 20,
	MaxMessage:       1 << 20,
	MaxMailbox:       10_000,
	MaxMailboxBytes:  16 << 20,
	MaxDetached:      10_000,
	MaxCallers:       10_000,
	CallerTTL:        24 * time.Hour,
	MaxRunAhead:      1_000,
	MaxRunAheadBytes: 1 << 20,
}

// Not options, because nobody should need to change them.
const (
	abandonAfter     = time.Second      // after its deadline, a turn that has not returned is abandoned
	retentionExtra   = time.Minute      // the log is kept for the resume window and this
	maxRunAheadTotal = 64 << 20         // bytes of outputs that wait for the store, all actors of a node
	groupSpacing     = time.Millisecond // between the starts of groups of several commits
	maxAnswers       = 64               // kept answers per caller
	maxAnswerBytes   = 16 << 10         // and their bytes
	maxAuths         = 256              // how many OnAuth of a node run at a time
	maxAuthBytes     = 4 << 10          // of an OnAuth's result as JSON, which is kept with each connection
)
