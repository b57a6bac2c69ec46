//go:build !unix

package child

import (
	"errors"
	"os/exec"
	"syscall"
)

func ownGroup(*exec.Cmd, syscall.Signal) {}

func interrupt(cmd *exec.Cmd) error { return cmd.Process.Kill() }

func terminate(cmd *exec.Cmd) error { return cmd.Process.Kill() }

func pause(*exec.Cmd, bool) error { return errors.ErrUnsupported }
