//go:build !unix

package file

import "os"

// lock does nothing here: one process at a time may write to a file.
func lock(*os.File) (unlock func(), err error) { return func() {}, nil }

// theNames tells whether err is about the name alone; here that is not known.
func theNames(error) bool { return false }

// mayWrite tells nothing here: only making a file would.
func mayWrite(string) error { return nil }
