//go:build unix

package server

import (
	"math"
	"syscall"
)

// openFiles returns the limit of open files; 0 means none.
func openFiles() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || uint64(r.Cur) > math.MaxInt32 {
		return 0
	}
	return int(r.Cur)
}
