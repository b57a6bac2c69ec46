package definition

import "time"

// Options has the same fields as actor.Options, which documents them. In a Set all are
// set, but DestroyAfter.
type Options struct {
	ResumeWindow     time.Duration
	AnySubject       bool
	ActionTimeout    time.Duration
	ConnectTimeout   time.Duration
	IdleAfter        time.Duration
	LogBytes         int
	MaxMessage       int
	MaxState         int
	MaxConnState     int
	MaxMailbox       int
	MaxMailboxBytes  int
	MaxDetached      int
	MaxCallers       int
	CallerTTL        time.Duration
	MaxRunAhead      int
	MaxRunAheadBytes int
	MaxMessages      int
	MaxMessagesBytes int
	DestroyAfter     time.Duration
}

// Defaults are the default options.
var Defaults = Options{
	ResumeWindow:     2 * time.Minute,
	ActionTimeout:    60 * time.Second,
	ConnectTimeout:   5 * time.Second,
	IdleAfter:        30 * time.Second,
	LogBytes:         1 << 20,
	MaxMessage:       1 << 20,
	MaxState:         16 << 20,
	MaxConnState:     64 << 10,
	MaxMailbox:       10_000,
	MaxMailboxBytes:  16 << 20,
	MaxDetached:      10_000,
	MaxCallers:       10_000,
	CallerTTL:        24 * time.Hour,
	MaxRunAhead:      1_000,
	MaxRunAheadBytes: 1 << 20,
	MaxMessages:      10_000,
	MaxMessagesBytes: 4 << 20,
}

// or fills the zero fields of o from d.
func (o Options) or(d Options) Options {
	set(&o.ResumeWindow, d.ResumeWindow)
	set(&o.AnySubject, d.AnySubject)
	set(&o.ActionTimeout, d.ActionTimeout)
	set(&o.ConnectTimeout, d.ConnectTimeout)
	set(&o.IdleAfter, d.IdleAfter)
	set(&o.LogBytes, d.LogBytes)
	set(&o.MaxMessage, d.MaxMessage)
	set(&o.MaxState, d.MaxState)
	set(&o.MaxConnState, d.MaxConnState)
	set(&o.MaxMailbox, d.MaxMailbox)
	set(&o.MaxMailboxBytes, d.MaxMailboxBytes)
	set(&o.MaxDetached, d.MaxDetached)
	set(&o.MaxCallers, d.MaxCallers)
	set(&o.CallerTTL, d.CallerTTL)
	set(&o.MaxRunAhead, d.MaxRunAhead)
	set(&o.MaxRunAheadBytes, d.MaxRunAheadBytes)
	set(&o.MaxMessages, d.MaxMessages)
	set(&o.MaxMessagesBytes, d.MaxMessagesBytes)
	set(&o.DestroyAfter, d.DestroyAfter)
	return o
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
