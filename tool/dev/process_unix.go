//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a program and everything that it starts their own process group: one
// signal reaches all of them, and Ctrl-C in the terminal reaches only dev.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
}

// interrupt sends SIGINT to a program and everything that it started.
func interrupt(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }

// terminate sends SIGTERM to a program alone.
func terminate(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }
