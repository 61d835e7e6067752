package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/millrace/millrace/pipeline/scenario"
)

// leftAlone is how long files must be left alone before they are read again: an
// editor writes, renames and touches in several steps.
const leftAlone = 100 * time.Millisecond

// testOnChange runs the tests, and again whenever one of the files changes that
// they depend on, until ctx ends.
func (a *app) testOnChange(ctx context.Context, options scenario.Options, f testFlags) (err error) {
	watch, err := newFileWatch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watch.Close()) }()
	for {
		// Watched before they are read, so that no change is missed between.
		if err := watch.add(options.Files); err != nil {
			return err
		}
		if terminal(a.out) && f.format == "text" {
			fmt.Fprint(raw(a.out), "\x1b[H\x1b[2J\x1b[3J")
		}
		report, err := a.testOnce(ctx, options, f)
		var usage usageError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &usage):
			return err
		case err != nil && !errors.Is(err, errInvalid):
			fmt.Fprintf(a.err, "millrace: %v\n", err)
		}
		if report != nil {
			if err := watch.add(report.Inputs); err != nil {
				return err
			}
		}
		if err := a.waiting(a.out, f); err != nil {
			return err
		}
		if !watch.next(ctx) {
			return nil
		}
	}
}

// waiting says that nothing goes on until a file changes.
func (a *app) waiting(w io.Writer, f testFlags) error {
	if f.format != "text" || a.quiet {
		return nil
	}
	_, err := fmt.Fprintf(w, "%s waiting for changes; ctrl-C ends\n", time.Now().Format(time.TimeOnly))
	return err
}

// fileWatch tells when one of some files changes. It watches their folders: many
// editors put a new file in the place of the old one.
type fileWatch struct {
	*fsnotify.Watcher
	files   []string // absolute
	folders []string // those of which every configuration file counts
}

func newFileWatch() (*fileWatch, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	return &fileWatch{Watcher: w}, nil
}

// add watches more files and folders.
func (w *fileWatch) add(names []string) error {
	for _, name := range names {
		path, err := filepath.Abs(name)
		if err != nil {
			return fmt.Errorf("watch %s: %w", name, err)
		}
		if slices.Contains(w.files, path) || slices.Contains(w.folders, path) {
			continue
		}
		folder := filepath.Dir(path)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			folder = path
			w.folders = append(w.folders, path)
		} else {
			w.files = append(w.files, path)
		}
		if err := w.Add(folder); err != nil {
			return fmt.Errorf("watch %s: %w", name, err)
		}
	}
	return nil
}

// next returns true once something has changed and is left alone since, false
// when ctx ends.
func (w *fileWatch) next(ctx context.Context) bool {
	var quiet <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false
		case <-quiet:
			return true
		case e, ok := <-w.Events:
			if !ok {
				return false
			}
			if w.counts(e) {
				quiet = time.After(leftAlone)
			}
		case _, ok := <-w.Errors:
			if !ok {
				return false
			}
			quiet = time.After(leftAlone) // events were lost: look again
		}
	}
}

// counts tells whether an event is of a file that is watched.
func (w *fileWatch) counts(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	ext := filepath.Ext(e.Name)
	return slices.Contains(w.files, e.Name) || slices.Contains(w.folders, filepath.Dir(e.Name)) &&
		(ext == ".yaml" || ext == ".yml")
}
