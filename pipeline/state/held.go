package state

import (
	"errors"
	"fmt"
)

// Held says what to do about a part that another process runs.
func Held(err error, what string) error {
	var taken *HeldError
	if errors.As(err, &taken) {
		return fmt.Errorf("%s runs in another process (pid %d); stop it, or give this one a folder of its own with "+
			"--state: %w", what, taken.PID, err)
	}
	return err
}
