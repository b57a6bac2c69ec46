//go:build unix && !linux

package child

import "syscall"

// endWithParent does nothing: on these systems a program outlives its killed parent.
func endWithParent(*syscall.SysProcAttr, syscall.Signal) {}
