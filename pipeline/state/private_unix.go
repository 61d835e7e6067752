//go:build unix

package state

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// noFollow opens no links, and waits for nothing.
const noFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK

// ownerOf is the user that a file belongs to, where the system has such.
func ownerOf(info fs.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
