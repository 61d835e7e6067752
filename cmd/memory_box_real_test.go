//go:build real && linux

package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// memoryBox is a hard limit of a process's memory: a cgroup where one can be made, and
// always somebody who watches.
type memoryBox struct {
	t     *testing.T
	limit int64
	group string // "" where none can be made
}

func newMemoryBox(t *testing.T, limit int64) *memoryBox {
	b := &memoryBox{t: t, limit: limit}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return b
	}
	for line := range strings.Lines(string(own)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		root, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		controllers, path, _ := strings.Cut(rest, ":")
		switch controllers {
		case "":
			root, file = "/sys/fs/cgroup", "memory.max"
		case "memory":
		default:
			continue
		}
		group := filepath.Join(root, path, fmt.Sprint("millrace-test-", os.Getpid()))
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		// It is empty once the process has ended, which is a cleanup of later.
		t.Cleanup(func() { _ = os.Remove(group) })
		if tell(filepath.Join(group, file), strconv.FormatInt(limit, 10)) == nil {
			b.group = group
			break
		}
	}
	return b
}

// tell writes to a file of the kernel's: where there is none, nobody would read it.
func tell(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// hold puts a process in, and fails the test where it is larger.
func (b *memoryBox) hold(p *process) {
	pid := p.cmd.Process.Pid
	if b.group != "" {
		if err := tell(filepath.Join(b.group, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			b.t.Logf("no cgroup: %v", err)
			b.group = ""
		}
	}
	peak := int64(0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-p.done:
				return
			case <-time.After(100 * time.Millisecond):
			}
			now, err := residentPeak(pid)
			if err != nil {
				continue // it has just ended
			}
			if peak = now; peak > b.limit {
				b.t.Errorf("the process has %d MiB", peak>>20)
				_ = p.cmd.Process.Kill()
				return
			}
		}
	}()
	b.t.Cleanup(func() {
		p.kill()
		<-ended
		b.t.Logf("a peak of %d MiB, in a cgroup: %t", peak>>20, b.group != "")
	})
}
