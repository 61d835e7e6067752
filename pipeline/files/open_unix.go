//go:build unix

package files

import "golang.org/x/sys/unix"

// noBlock opens what became a pipe meanwhile without waiting for its writer.
const noBlock = unix.O_NONBLOCK
