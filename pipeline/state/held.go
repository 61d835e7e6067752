package state

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Held says what to do about a part that another process runs, or that a command works
// with on a job.
func Held(err error, what string) error {
	taken, ok := errors.AsType[*HeldError](err)
	if !ok {
		return err
	}
	if runs, failed := Find(filepath.Dir(taken.Dir)); failed == nil {
		for _, run := range runs {
			if run.PID == taken.PID && run.Job != "" {
				return fmt.Errorf("a command works on job %[1]s in process %[2]d, with %[3]s: wait for it, or `millrace jobs "+
					"cancel %[1]s`: %[4]w", run.Job, run.PID, what, err)
			}
		}
	}
	return fmt.Errorf("%s runs in another process (pid %d); stop it, or give this one a folder of its own with "+
		"--state: %w", what, taken.PID, err)
}
