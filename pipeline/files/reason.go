package files

import (
	"errors"
	"io/fs"
)

// Reason is an error of the file system without the name of the file, which
// stands before it anyway.
func Reason(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file"
	}
	return err.Error()
}
