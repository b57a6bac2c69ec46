//go:build unix

package transport

import (
	"sync"
	"syscall"
)

const canTryWrite = true

// attempt is a call of tryWrite. It is used again, because a function that is
// handed to a syscall.RawConn costs memory.
type attempt struct {
	f   func(fd uintptr) bool // write
	b   []byte
	n   int
	err error
}

var attempts = sync.Pool{New: func() any {
	a := &attempt{}
	a.f = a.write
	return a
}}

func (a *attempt) write(fd uintptr) (done bool) {
	for {
		a.n, a.err = syscall.Write(int(fd), a.b)
		if a.err != syscall.EINTR {
			return true
		}
	}
}

// tryWrite writes what the kernel takes of b without waiting, with one system
// call, and returns how much that was.
func tryWrite(raw syscall.RawConn, b []byte) (n int, err error) {
	a := attempts.Get().(*attempt)
	a.b, a.n, a.err = b, 0, nil
	err = raw.Write(a.f)
	n, failed := a.n, a.err
	a.b = nil
	attempts.Put(a)
	if err != nil {
		return 0, err
	}
	if failed == syscall.EAGAIN {
		return 0, nil
	}
	return max(n, 0), failed
}
