package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Pauses reads what KeepPause wrote on the state folder dir, by pipeline; of a file
// that can't be read the text is nil.
func Pauses(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(pauseDir(dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read which pipelines are paused: %w", err)
	}
	all := map[string][]byte{}
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".json"); ok {
			text, err := readOwn(pausePath(dir, name), maxRunFile)
			if errors.Is(err, os.ErrNotExist) {
				continue // resumed this moment
			}
			all[name] = text
		}
	}
	return all, nil
}

// KeepPause keeps over a restart that a pipeline is paused. Readers see the old or
// the new text, never a part, also after a crash.
func (f *Folder) KeepPause(pipeline string, text []byte) error {
	if err := os.MkdirAll(pauseDir(f.dir), 0o700); err != nil {
		return fmt.Errorf("keep that pipeline %q is paused: %w", pipeline, err)
	}
	if err := replace(pausePath(f.dir, pipeline), text); err != nil {
		return fmt.Errorf("keep that pipeline %q is paused: %w", pipeline, err)
	}
	return nil
}

// replace puts a text in the place of a file, durably.
func replace(path string, text []byte) error {
	temporary := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	err := writeDurably(temporary, text)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary)
	}
	return err
}

// ForgetPause ends what KeepPause keeps on the state folder dir, if there is any.
func ForgetPause(dir, pipeline string) error {
	if err := removeIfThere(pausePath(dir, pipeline)); err != nil {
		return fmt.Errorf("forget that pipeline %q is paused: %w", pipeline, err)
	}
	return nil
}

func writeDurably(path string, text []byte) error {
	file, err := openOwn(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

func pauseDir(dir string) string { return filepath.Join(dir, "paused") }

func pausePath(dir, pipeline string) string {
	return filepath.Join(pauseDir(dir), filepath.Base(pipeline)+".json")
}
