//go:build !unix

package gateway

import (
	"errors"
	"syscall"
)

// Without a non-blocking write every frame is written by a goroutine of the link.
const canTryWrite = false

func tryWrite(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }
