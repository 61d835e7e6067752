//go:build unix

package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// replica is one process of the binary, which may come and go.
type replica struct {
	run  *run
	name string
	dir  string

	mu   sync.Mutex // of what follows: the schedule and the reader of lines
	cmd  *exec.Cmd
	done chan struct{}
	told bool // that it was asked to end
	read int64
}

func newReplica(r *run, i int) (*replica, error) {
	p := &replica{run: r, name: fmt.Sprint("replica-", i)}
	p.dir = filepath.Join(r.Dir, p.name)
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, err
	}
	return p, os.WriteFile(filepath.Join(p.dir, "pipelines.yaml"), []byte(r.file(i)), 0o600)
}

// start runs the process; what it says is kept in its folder.
func (p *replica) start() error {
	out, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd, done := p.run.Command("run", "--log-format", "json"), make(chan struct{})
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, out, out
	if err := cmd.Start(); err != nil {
		return errors.Join(err, out.Close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.done, p.told = cmd, done, false
	go func() {
		err := cmd.Wait()
		_ = out.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.told {
			p.run.books.fail("%s ended by itself: %v", p.name, err)
		}
		close(done)
	}()
	return nil
}

// end signals the process and waits for its end.
func (p *replica) end(sig os.Signal, limit time.Duration) error {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.told = true
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(limit):
		return errors.Join(fmt.Errorf("%s still runs %s after %s", p.name, limit, sig), cmd.Process.Kill())
	}
}

// kill ends the process as a crash does.
func (p *replica) kill() error { return p.end(syscall.SIGKILL, 10*time.Second) }

// crash kills the process and notes what its groups had committed.
func (p *replica) crash(ctx context.Context) error {
	at := time.Now()
	if err := p.kill(); err != nil {
		return err
	}
	committed, err := p.run.kafka.committed(ctx)
	p.run.books.stop(stop{at, true, committed})
	return err
}

// stop asks the process to end: that takes no longer than its drain, the code is
// 0, and nothing is repeated for it.
func (p *replica) stop() error {
	p.run.books.stop(stop{at: time.Now()})
	if err := p.end(syscall.SIGTERM, 20*time.Second); err != nil {
		return err
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with code %d after SIGTERM", p.name, code)
	}
	return nil
}

func (p *replica) freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *replica) thaw() error   { return p.cmd.Process.Signal(syscall.SIGCONT) }

// readLines books what the file sink has written since it was called last. A
// line that a crash tore may be mended, so only whole ones count.
func (p *replica) readLines() {
	p.mu.Lock()
	defer p.mu.Unlock()
	path := filepath.Join(p.dir, "out", "lines.jsonl")
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= p.read {
		return
	}
	text := make([]byte, info.Size()-p.read)
	if _, err := f.ReadAt(text, p.read); err != nil {
		return
	}
	now := time.Now()
	for {
		line, rest, ok := bytes.Cut(text, []byte("\n"))
		if !ok {
			return
		}
		p.read += int64(len(line)) + 1
		text = rest
		var rec record
		if err := json.Unmarshal(line, &rec); err != nil {
			p.run.books.fail("%s: %q is no record: %v", path, line, err)
			continue
		}
		p.run.books.effect(lines, effect{id: rec.ID, key: rec.Key, seq: rec.Seq, at: now, done: now, place: path})
	}
}
