package actor

import "time"

// Options of an actor definition. The zero value of each field means the
// default in brackets. Set them with WithOptions, for one definition or for all
// of a registry.
type Options struct {
	// ResumeWindow is how long a client may resume a connection whose socket is gone
	// [2 min]. A long window keeps more connections and a longer log.
	ResumeWindow time.Duration

	// AnySubject lets any client that has a connection's secret resume and refresh it,
	// whatever OnAuth returns. Otherwise a connection belongs to the client for which OnAuth returned the
	// same when it was opened, see the package documentation; for another one it is a new
	// connection [false].
	AnySubject bool

	// ActionTimeout is how long an action may take [60 s]. Then its context ends, and the
	// action fails when it returns. If it does not return within another second, it is
	// abandoned, and the actor continues from its last commit.
	ActionTimeout time.Duration

	// ConnectTimeout is the same for the turn that connects: OnBeforeConnect,
	// CreateConnState and OnConnect together [5 s].
	ConnectTimeout time.Duration

	// IdleAfter is how long an actor without connections and calls stays in
	// memory [30 s]. Its timers (After, Every) do not keep it there. When memory is short
	// (server.Options.MaxActorBytes), an actor without timers may leave after a second.
	IdleAfter time.Duration

	// LogBytes is about how many bytes of the log are kept in memory [1 MiB]. Readers
	// further behind are served from the store.
	LogBytes int

	// MaxMessage is the largest event or result, in bytes of JSON [1 MiB]. A
	// turn with a larger one fails with too_large.
	MaxMessage int

	// MaxState is how large the state may grow, in bytes of JSON, with its Lists and Maps
	// [16 MiB]. An action, Do or timer that makes it larger fails with too_large; at half
	// of it there is a warning in the log. Hooks may exceed it: without them the actor
	// could not start, and connections could not end. A stored state that is larger works.
	// The items of Tables do not count: keep in them what grows without bound.
	MaxState int

	// MaxConnState is how large the state of one connection may grow, in bytes of JSON
	// [64 KiB]. A turn that makes it larger fails with too_large. A stored one that is
	// larger works.
	MaxConnState int

	// MaxMailbox is how many calls may wait for a turn [10,000], MaxMailboxBytes how many
	// bytes of calls and connects [16 MiB]; beyond, they fail with overloaded.
	MaxMailbox      int
	MaxMailboxBytes int

	// MaxDetached is how many connections without a socket are kept [10,000]; beyond, the
	// one without a socket for longest ends, of the address that has most of them.
	MaxDetached int

	// MaxCallers is how many callers, clients that number their calls, are remembered, for
	// CallerTTL after their last call [10,000, 24 h]. As many single calls with an
	// Idempotency-Key are remembered, too. Beyond, the oldest are forgotten, of the address
	// that has most of them. Those of connections that exist are always remembered. A call
	// that is repeated later runs again.
	MaxCallers int
	CallerTTL  time.Duration

	// MaxRunAhead and MaxRunAheadBytes limit how far turns may run ahead of the store
	// [1,000 commits, 1 MiB of outputs]; beyond, the actor waits for the store.
	MaxRunAhead      int
	MaxRunAheadBytes int

	// MaxMessages is how many messages of an actor may be pending, MaxMessagesBytes how
	// many bytes they may have [10,000, 4 MiB]; beyond, a turn that adds one fails with
	// overloaded. A turn that handles a message may go to twice that. One message may have
	// 64 KiB.
	MaxMessages      int
	MaxMessagesBytes int

	// DestroyAfter is for how long an actor may be unused until it is destroyed, as by
	// Context.Destroy [0: it never is]. Changes count as use, and so do connections and
	// requests that only read. It takes up to a fifth longer. An actor that was stored before
	// its definition had a DestroyAfter counts from its next use on.
	DestroyAfter time.Duration
}
