package embedded

import "golang.org/x/sys/windows"

// diskSpace tells how many bytes this process may still write to dir's disk, and
// how large the disk is.
func diskSpace(dir string) (free, total int64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	var available, size uint64
	if err := windows.GetDiskFreeSpaceEx(path, &available, &size, nil); err != nil {
		return 0, 0, err
	}
	return int64(available), int64(size), nil
}

// openFiles is how many files this process may have open: there is no limit that
// would matter.
func openFiles() uint64 { return 1 << 20 }
