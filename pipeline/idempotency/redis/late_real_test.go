//go:build real

package redis

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// TestRealLateClaimIsNotTaken has a server hang for longer than a claim's caller
// waits. What the server reads afterwards must not keep the key from others.
func TestRealLateClaimIsNotTaken(t *testing.T) {
	server := startServer(t)
	gone, other := open(t, server.url(""), Options{}), open(t, server.url(""), Options{})
	run := idempotency.NewRun()
	if _, err := gone.one(t, aClaim(run)); err != nil { // the server has the scripts from now on
		t.Fatal(err)
	}
	claim := aClaim(run)
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := server.command.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if verdicts, err := gone.Claim(ctx, []idempotency.Claim{claim}); err == nil {
		t.Fatalf("the server did not hang: %v", verdicts)
	}
	signal(syscall.SIGCONT)
	for range 8 { // until what was sent meanwhile has been read
		other.do(t, "PING")
	}
	again := claim
	again.Token = run.Next()
	if answer, err := other.one(t, again); err != nil || answer != idempotency.Go {
		t.Errorf("%v, %v, want %v", answer, err, idempotency.Go)
	}
}

// TestRealClocksThatDisagree are those of a process that slept and of nodes that
// differ: claims are taken all the same.
func TestRealClocksThatDisagree(t *testing.T) {
	server := startServer(t)
	store := open(t, server.url(""), Options{})
	run := idempotency.NewRun()
	for name, upset := range map[string]func(){
		"slept":  func() { store.clock.at = time.Now().Add(time.Hour) },
		"differ": func() { store.clock.slack = -time.Hour.Microseconds() },
	} {
		upset()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		verdicts, err := store.Claim(ctx, []idempotency.Claim{aClaim(run)})
		cancel()
		if err != nil || verdicts[0].Answer != idempotency.Go {
			t.Errorf("%s: %v, %v", name, verdicts, err)
		}
	}
	if slack := time.Duration(store.clock.slack) * time.Microsecond; slack.Abs() > time.Minute {
		t.Errorf("the clocks are taken to differ by %s", slack)
	}
}
