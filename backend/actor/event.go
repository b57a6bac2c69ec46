package actor

import "github.com/troupe-dev/troupe/backend/runtime"

// EmitOption is an option of Broadcast and Send: Where, Except, Volatile or
// Latest.
type EmitOption func(*emitOptions)

type emitOptions struct{ runtime.Emission }

// Where restricts a broadcast to the connections for which f returns true. f is
// called at once, for every connection of the actor. S is the actor's connection
// state type.
func Where[S any](f func(*Conn[S]) bool) EmitOption {
	return func(o *emitOptions) {
		o.Where = append(o.Where, func(t *runtime.Turn) func(*runtime.Conn) bool {
			var h handles[S] // not of the option, which may be used by several turns at a time
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

// Volatile makes an event one of which only the present matters: it is not
// stored, not replayed after a reconnection, and may be dropped for a reader that
// is blocked. For cursors, positions, typing.
func Volatile(o *emitOptions) { o.Volatile = true }

// Latest makes an event Volatile, and lets a newer one of the same type and key
// take the place of one that was not delivered yet.
func Latest(key string) EmitOption {
	return func(o *emitOptions) {
		o.Volatile = true
		o.Latest = "=" + key // an empty key is one, too
	}
}

// emission applies options. It is apart because they cost memory only if there
// are any.
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
