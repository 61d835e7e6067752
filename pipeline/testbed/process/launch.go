//go:build unix

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// StartLimit bounds how long a component may take until it answers; 7 s is usual for Kafka,
// and more where the machine is busy with other tests.
const StartLimit = 2 * time.Minute

// Launch starts a component in its folder: its output is appended to the log
// there, its id is in the file pid, and the lock there is held while it lives.
func Launch(dir string, detached bool, cmd *exec.Cmd) (*Child, error) {
	lock, err := lockNow(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	log, err := os.OpenFile(filepath.Join(dir, logName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lock}
	c, err := spawn(cmd, detached)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, pidName), fmt.Appendln(nil, cmd.Process.Pid), 0o600); err != nil {
		return nil, errors.Join(err, c.Kill())
	}
	return c, nil
}

// The files of a component's folder.
const logName, pidName, lockName = "server.log", "pid", "lock"

// LogTail returns the last lines of what the component of a folder printed.
func LogTail(dir string, lines int) string {
	text, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(LastLines(text, lines)))
}

// Run runs a command and returns its stdout; the error of one that failed
// holds its stderr, the output of one that failed holds both.
func Run(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String() + stderr.String(), fmt.Errorf("%w\n%s%s", err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}
