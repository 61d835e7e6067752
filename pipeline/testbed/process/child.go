//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Child is one running process of a component.
type Child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; to be read after done is closed
}

// spawn starts cmd. The child is killed when this process ends, however it
// ends, unless it is detached.
//
// The kernel ties that promise to the thread which forked, so one goroutine
// keeps its thread from the fork to the child's end: a thread that ended
// earlier would take the child with it.
func spawn(cmd *exec.Cmd, detached bool) (*Child, error) {
	if detached {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	} else {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		endWithParent(cmd.SysProcAttr)
	}
	c := &Child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(c.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		c.err = cmd.Wait()
	}()
	if err := <-started; err != nil {
		<-c.done
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

// Signal sends sig; to send one to a child that has ended is an error.
func (c *Child) Signal(sig os.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", sig, err)
	}
	return nil
}

// Kill ends the child with SIGKILL and waits until it is gone.
func (c *Child) Kill() error {
	err := c.cmd.Process.Kill()
	<-c.done
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill: %w", err)
	}
	return nil
}

// Stop asks the child to end and waits for it. A child that is still there at
// ctx's end is killed, and that is an error.
func (c *Child) Stop(ctx context.Context) error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop: %w", err)
	}
	// A stopped process takes its SIGTERM only once it is continued.
	_ = c.cmd.Process.Signal(syscall.SIGCONT)
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop: %w; killed", ctx.Err()), c.Kill())
	}
}

// Await asks probe until it says yes. The child's end, ctx's end and limit end
// the wait with an error.
func (c *Child) Await(ctx context.Context, limit time.Duration, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("it ended: %w", errors.Join(c.err, ErrEnded))
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w (%w)", err, ctx.Err())
		case <-tick.C:
		}
	}
}

// ErrEnded says that the process is not there.
var ErrEnded = errors.New("process is not running")

// Ended tells whether the child is gone.
func (c *Child) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
