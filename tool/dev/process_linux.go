package main

import "syscall"

// endWithParent makes the kernel end a program when this process is killed. (Strictly:
// when the thread that started it ends; Go ends threads only with locked goroutines.)
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
