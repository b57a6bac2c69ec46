//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a program, with all that it starts, a process group of its own:
// signals for it reach all of them, and Ctrl-C in the terminal reaches only us.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
}

// interrupt asks a program and all that it has started to end.
func interrupt(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }

// terminate asks a program alone to end.
func terminate(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }
