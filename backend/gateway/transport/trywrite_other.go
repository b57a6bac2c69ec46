//go:build !unix

package transport

import (
	"errors"
	"syscall"
)

// Without a non-blocking write every frame is written by a goroutine.
const canTryWrite = false

func tryWrite(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }
