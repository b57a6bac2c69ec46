package main

import "syscall"

// endWithParent lets the kernel end a program if we are killed. (Strictly, if the
// thread that started it ends; Go ends threads only with locked goroutines.)
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
