package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// LogJob appends one line, which has no line break, to what is known of jobs that ended
// on the folder.
func (f *Folder) LogJob(line []byte) error {
	file, err := openOwn(jobsPath(f.dir), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err == nil {
		_, err = file.Write(append(bytes.Clone(line), '\n'))
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err != nil {
		return fmt.Errorf("note that a job ended: %w", err)
	}
	return nil
}

// Jobs reads the lines that LogJob wrote on the state folder dir, oldest first.
func Jobs(dir string) ([][]byte, error) {
	var text []byte
	file, err := openOwn(jobsPath(dir), os.O_RDONLY)
	if err == nil {
		text, err = io.ReadAll(file)
		err = errors.Join(err, file.Close())
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read which jobs ended: %w", err)
	}
	var lines [][]byte
	for line := range bytes.Lines(text) {
		lines = append(lines, bytes.TrimRight(line, "\n"))
	}
	return lines, nil
}

func jobsPath(dir string) string { return filepath.Join(dir, "jobs.jsonl") }
