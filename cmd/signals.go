package cmd

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// signalError is a signal that ended the process before it was done.
type signalError struct{ signal syscall.Signal }

func (e signalError) Error() string { return fmt.Sprintf("cut off by a second signal (%s)", e.signal) }

// code is the exit code that shells give to what a signal ended.
func (e signalError) code() int { return 128 + int(e.signal) }

// untilSignal runs what ends cleanly with its context, which a first SIGINT,
// SIGTERM or SIGHUP ends. A second SIGINT or SIGTERM returns at once, after cutOff
// has said what that means; a second SIGHUP does not, since a terminal that is
// closed sends it twice, nor does one that comes within a second: timeout(1) signals
// its child and then the group. A SIGHUP that was ignored at the start, as by nohup, is
// ignored. Writing to a pipe that nobody reads is an error to who writes and
// ends nothing.
func untilSignal(ctx context.Context, run func(context.Context) error, cutOff func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	closedPipes := make(chan os.Signal, 1)
	signal.Notify(closedPipes, syscall.SIGPIPE)
	defer signal.Stop(closedPipes)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	defer signal.Stop(signals)
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	var first time.Time
	for {
		select {
		case err := <-done:
			return err
		case s := <-signals:
			switch {
			case first.IsZero():
				first = time.Now()
				stop()
			case s != syscall.SIGHUP && time.Since(first) >= sameSignal:
				cutOff()
				return signalError{s.(syscall.Signal)}
			}
		}
	}
}

// sameSignal is within what time a second signal is the first one once more.
const sameSignal = time.Second
