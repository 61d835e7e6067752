package pipeline

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/pipeline/state"
)

// held says what to do about a part that another process runs.
func held(err error, what string) error {
	var taken *state.HeldError
	if errors.As(err, &taken) {
		return fmt.Errorf("%s runs in another process (pid %d); stop it, or give this one a folder of its own with --state: %w", what, taken.PID, err)
	}
	return err
}
