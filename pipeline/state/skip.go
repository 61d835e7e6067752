package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// maxSkips bounds a file of skipped records.
const maxSkips = 4 << 20

// Skips reads what KeepSkips wrote last of a pipeline on the state folder dir, nil where
// there is nothing.
func Skips(dir, pipeline string) ([]byte, error) {
	text, err := readOwn(skipsPath(dir, pipeline), maxSkips)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read which records of pipeline %q are skipped: %w", pipeline, err)
	}
	return text, nil
}

// KeepSkips keeps which records of a pipeline are skipped. Readers see the old or the new
// text, never a part, also after a crash.
func (f *Folder) KeepSkips(pipeline string, text []byte) error {
	path := skipsPath(f.dir, pipeline)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = replace(path, text)
	}
	if err != nil {
		return fmt.Errorf("keep which records of pipeline %q are skipped: %w", pipeline, err)
	}
	return nil
}

func skipsPath(dir, pipeline string) string {
	return filepath.Join(dir, "skipped", filepath.Base(pipeline)+".json")
}
