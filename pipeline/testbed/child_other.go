//go:build unix && !linux

package testbed

import "syscall"

// endWithParent does nothing where the kernel has no such wish.
func endWithParent(*syscall.SysProcAttr) {}
