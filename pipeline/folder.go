package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/state"
)

// folderLook is how often the state folder is looked at.
const folderLook = time.Second

// goneError is a state folder that was removed under the process that has parts
// in it: whatever it takes from then on is lost with it. What is open there is not
// closed: that would write a part of it anew, commits without their records.
type goneError struct{ dir string }

func (e goneError) Error() string {
	return fmt.Sprintf("the state folder %s was removed under this process: records and keys in it are gone, and no "+
		"more are taken; stop before removing it, and start again now", e.dir)
}

// awaitGone returns an error once the state folder is gone on which parts run,
// nil when ctx ends.
func awaitGone(ctx context.Context, folder *state.Folder, parts []state.Part) error {
	for clock.Sleep(ctx, folderLook) {
		if folder.Gone(parts) {
			return goneError{folder.Dir()}
		}
	}
	return nil
}

// watchFolder ends the run when the state folder is gone, and is not ready from
// then on. A process that keeps nothing there only says that others can't find
// it any more.
func (r *Runner) watchFolder(ctx context.Context, end chan<- error) {
	if r.folder == nil {
		return
	}
	err := awaitGone(ctx, r.folder, r.parts)
	switch {
	case err == nil:
	case len(r.parts) == 0:
		r.deps.Logger.Warn("the state folder was removed: other commands do not find this process any more, until it "+
			"is started again", "dir", r.folder.Dir())
	default:
		r.deps.Logger.Error("the state folder was removed: this process ends", "dir", r.folder.Dir())
		r.mu.Lock()
		r.folderGone = err.Error()
		r.mu.Unlock()
		select {
		case end <- err:
		default: // it ends already
		}
	}
}
