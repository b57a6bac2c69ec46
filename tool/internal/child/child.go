// Package child has what the tools need of programs that they start, on each system.
package child

import (
	"os/exec"
	"syscall"
)

// OwnGroup gives a program that is about to start, and everything that it starts, their own
// process group: one signal reaches all of them, and Ctrl-C in the terminal reaches only the tool.
// On Linux the kernel sends the program the signal withParent when the tool is killed.
func OwnGroup(cmd *exec.Cmd, withParent syscall.Signal) { ownGroup(cmd, withParent) }

// Interrupt sends SIGINT to a program of OwnGroup and everything that it started. Where there
// are no signals, it kills the program, as Terminate does.
func Interrupt(cmd *exec.Cmd) error { return interrupt(cmd) }

// Terminate sends SIGTERM to a program alone.
func Terminate(cmd *exec.Cmd) error { return terminate(cmd) }

// Pause stops a program with SIGSTOP, or lets it continue. Where there are no signals, it
// returns errors.ErrUnsupported.
func Pause(cmd *exec.Cmd, stopped bool) error { return pause(cmd, stopped) }
