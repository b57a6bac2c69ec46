//go:build unix

package gateway

import "syscall"

const canTryWrite = true

// tryWrite writes what the kernel takes of b without waiting, with one system
// call, and returns how much that was.
func tryWrite(raw syscall.RawConn, b []byte) (n int, err error) {
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		for {
			n, failed = syscall.Write(int(fd), b)
			if failed != syscall.EINTR {
				return true
			}
		}
	})
	if err != nil {
		return 0, err
	}
	if failed == syscall.EAGAIN {
		return 0, nil
	}
	return max(n, 0), failed
}
