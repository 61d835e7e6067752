package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/handlers"
)

// Probe tells whether the folder can be written, or could be made where it is
// missing. It makes nothing.
func (s *sink) Probe(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := probeFolder(s.config.Dir); err != nil {
		return &handlers.FieldError{Field: "dir", Err: err}
	}
	return nil
}

// probeFolder looks at the folder, or at the nearest one above it that is there.
func probeFolder(dir string) error {
	at, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	for {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("%s is no folder", at)
		case err == nil:
			if err := mayWrite(at); err != nil {
				return fmt.Errorf("the folder %s can't be written: %w", at, err)
			}
			return nil
		case !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at):
			return fmt.Errorf("look at the folder: %w", err)
		}
		at = filepath.Dir(at)
	}
}
