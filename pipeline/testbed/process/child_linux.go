package process

import "syscall"

// endWithParent has the kernel kill the child when the forking thread is gone.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
