package child

import "syscall"

// endWithParent makes the kernel send a program a signal when this process is killed.
// (Strictly: when the thread that started it ends; Go ends threads only with locked
// goroutines.)
func endWithParent(attr *syscall.SysProcAttr, with syscall.Signal) { attr.Pdeathsig = with }
