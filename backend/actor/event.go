package actor

import "github.com/troupe-dev/troupe/backend/runtime"

// EmitOption is an option of Broadcast and Send: Where, Except, Volatile or
// Latest.
type EmitOption func(*emitOptions)

type emitOptions struct{ runtime.Emission }

// Where restricts a broadcast to the connections for which f returns true. f is
// called during Broadcast, for every connection of the actor. S is the actor's connection
// state type.
func Where[S any](f func(*Conn[S]) bool) EmitOption {
	return func(o *emitOptions) {
		o.Where = append(o.Where, func(t *runtime.Turn) func(*runtime.Conn) bool {
			var h handles[S] // local: several turns may use the option at the same time
			return func(c *runtime.Conn) bool { return f(h.of(t, c)) }
		})
	}
}

// Except leaves connections out of a broadcast.
func Except[S any](conns ...*Conn[S]) EmitOption {
	return func(o *emitOptions) {
		for _, c := range conns {
			o.Except = append(o.Except, c.conn.Num())
		}
	}
}

// Volatile sends an event only to clients that are online: it is not stored, not replayed
// after a reconnection, and may be dropped for a slow client. Use it for cursors,
// positions, typing.
func Volatile(o *emitOptions) { o.Volatile = true }

// Latest makes an event Volatile, and lets a newer one of the same type and key replace one
// that is not delivered yet.
func Latest(key string) EmitOption {
	return func(o *emitOptions) {
		o.Volatile = true
		o.Latest = "=" + key // the empty key is a key
	}
}

// emission applies options. It is a function of its own so that events without options do
// not allocate.
func emission(options []EmitOption) runtime.Emission {
	if len(options) == 0 {
		return runtime.Emission{}
	}
	var e emitOptions
	for _, o := range options {
		o(&e)
	}
	return e.Emission
}
