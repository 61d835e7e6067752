//go:build unix && !linux

package process

import "syscall"

// endWithParent does nothing where the kernel has no such wish.
func endWithParent(*syscall.SysProcAttr) {}
