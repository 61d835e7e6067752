package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ForeignError says that a folder or a file is not this process's alone, so that
// somebody else could read what is kept there, or lead it elsewhere.
type ForeignError struct {
	Path string
	// Why is what is wrong, and what to do.
	Why string
}

// Error names what is not private and says why.
func (e *ForeignError) Error() string { return e.Path + " " + e.Why }

// private sees to it that nobody else may write to a folder.
func private(dir string, info fs.FileInfo) error {
	if err := foreign(dir, info); err != nil || !others(info) || !own(info) {
		return err
	}
	return os.Chmod(dir, info.Mode().Perm()&^0o022)
}

// foreign tells why a folder can't be had for this user alone, nil where it can: it
// is this user's, who may narrow it, or the system's, and nobody else may write to it.
func foreign(dir string, info fs.FileInfo) error {
	switch owner, known := ownerOf(info); {
	case own(info):
		return nil
	case known && owner != 0:
		return &ForeignError{dir, fmt.Sprintf("belongs to the user %d, and this is the user %d: run as that one, or "+
			"give another folder with --state", owner, os.Geteuid())}
	case others(info):
		return &ForeignError{dir, "can be written by other users: give a folder inside of it with --state, which is " +
			"then made for this user alone"}
	}
	return nil
}

// own tells whether a file is this user's, as far as the system tells.
func own(info fs.FileInfo) bool {
	owner, known := ownerOf(info)
	return !known || owner == os.Geteuid()
}

// others tells whether somebody but the owner may write.
func others(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }

// openOwn opens a regular file of this user, never through a link, and never waiting
// as for the other end of a pipe.
func openOwn(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags|noFollow, 0o600)
	if err != nil {
		if info, lstat := os.Lstat(path); lstat == nil && !info.Mode().IsRegular() {
			err = &ForeignError{path, "is no regular file: remove it"}
		}
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		switch {
		case !info.Mode().IsRegular():
			err = &ForeignError{path, "is no regular file: remove it"}
		case !own(info):
			err = &ForeignError{path, "belongs to another user: remove it"}
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
