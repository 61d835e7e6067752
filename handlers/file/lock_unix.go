//go:build unix

package file

import (
	"errors"
	"os"
	"syscall"
)

// lock keeps other processes, and other sinks, from appending to f until unlock
// is called: only then a line without an end is one that a crash left. Where the
// file system has no locks it does nothing.
func lock(f *os.File) (unlock func(), err error) {
	fd := int(f.Fd())
	for {
		err = syscall.Flock(fd, syscall.LOCK_EX)
		if err != syscall.EINTR {
			break
		}
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.ENOLCK):
		return func() {}, nil
	case err != nil:
		return nil, os.NewSyscallError("flock", err)
	}
	return func() { _ = syscall.Flock(fd, syscall.LOCK_UN) }, nil
}

// theNames tells whether err is about the name alone: another name could be
// opened.
func theNames(err error) bool {
	for _, e := range []syscall.Errno{syscall.EISDIR, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP,
		syscall.ENXIO, syscall.EINVAL, syscall.EILSEQ} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// mayWrite tells whether files can be made in a folder, without making one.
func mayWrite(dir string) error {
	const writeAndEnter = 0x2 | 0x1
	return syscall.Access(dir, writeAndEnter)
}
