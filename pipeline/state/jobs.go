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
	file, err := openOwn(jobsPath(f.dir), os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err == nil {
		// A line that was cut off is a line of its own.
		if torn(file) {
			line = append([]byte{'\n'}, line...)
		}
		_, err = file.Write(append(bytes.Clone(line), '\n'))
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err != nil {
		return fmt.Errorf("note that a job ended: %w", err)
	}
	return nil
}

// torn tells whether a file does not end with its last line.
func torn(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	var last [1]byte
	_, err = file.ReadAt(last[:], info.Size()-1)
	return err == nil && last[0] != '\n'
}

// CheckJobs tells why LogJob would fail, nil where it would not.
func (f *Folder) CheckJobs() error {
	file, err := openOwn(jobsPath(f.dir), os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return fmt.Errorf("the jobs that ended are noted in a file that can't be written: %w", err)
	}
	return file.Close()
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
