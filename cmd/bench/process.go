package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one that the bench started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // to be read after done is closed
	tail tail
}

// start starts cmd, whose errors are kept for the message of its failure.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	if cmd.Stderr == nil {
		cmd.Stderr = &p.tail
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait waits for an end by itself.
func (p *process) wait(limit time.Duration) error {
	select {
	case <-p.done:
		return p.failure()
	case <-time.After(limit):
		return errors.Join(fmt.Errorf("it did not end within %s", limit), p.kill())
	}
}

// stop asks it to end, and waits for that.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return p.wait(30 * time.Second)
}

// kill ends it, where nothing is expected of it any more.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func (p *process) failure() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w\n%s", filepath.Base(p.cmd.Path), p.err, p.tail.text)
}

// tail keeps the last that was written to it.
type tail struct{ text []byte }

// Write keeps the last 4 KiB.
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - 4096; over > 0 {
		t.text = bytes.Clone(t.text[over:])
	}
	return len(p), nil
}

// usage is what a process has used.
type usage struct {
	cpu       time.Duration
	rss, peak float64 // MB
}

// usageOf reads what processes have used, in all. It is nothing where the system has
// no /proc, or they are not of this machine.
func usageOf(pids ...int) usage {
	var sum usage
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d", pid)
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		// The command's name, which may hold anything, ends with the last parenthesis.
		if fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); len(fields) > 12 {
			user, _ := strconv.Atoi(fields[11])
			system, _ := strconv.Atoi(fields[12])
			sum.cpu += time.Duration(user+system) * (time.Second / 100)
		}
		status, err := os.ReadFile(dir + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(line, ":")
			kilobytes, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			switch name {
			case "VmRSS":
				sum.rss += kilobytes / 1024
			case "VmHWM":
				sum.peak += kilobytes / 1024
			}
		}
	}
	return sum
}

// children are the processes of that name which this one started.
func children(name string) []int {
	var found []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		open, shut := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		fields := strings.Fields(string(stat[shut+1:]))
		if string(stat[open+1:shut]) != name || len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// diskOf is how many MB the files below a folder take.
func diskOf(dir string) float64 {
	blocks := int64(0)
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				blocks += stat.Blocks
			}
		}
		return nil
	})
	return float64(blocks) * 512 / (1 << 20)
}

// firstLine is the first line that a process prints.
func firstLine(from io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(from, one); err != nil {
			return "", fmt.Errorf("read the first line: %w", err)
		}
		if one[0] == '\n' {
			return string(line), nil
		}
		line = append(line, one[0])
	}
}
