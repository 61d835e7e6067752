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
	raw, err := other.client.Do(t.Context(), other.client.B().Get().Key(other.key(claim.ID)).Build()).ToString()
	if err != nil || !isPlain(raw) {
		t.Fatalf("the server did not read it: % x, %v", raw, err)
	}
	if rows, err := other.Get(t.Context(), []idempotency.ID{claim.ID}); err != nil || rows[0] != nil {
		t.Errorf("of a claim that nobody waited for there is the row %+v, %v", rows[0], err)
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
		claim := aClaim(run)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		verdicts, err := store.Claim(ctx, []idempotency.Claim{claim})
		cancel()
		if err != nil || verdicts[0].Answer != idempotency.Go {
			t.Errorf("%s: %v, %v", name, verdicts, err)
		}
		again := claim
		again.Token = run.Next()
		if answer, err := store.one(t, again); err != nil || answer != idempotency.Busy {
			t.Errorf("%s: somebody else is answered %v, %v", name, answer, err)
		}
		if states, err := store.Confirm(t.Context(), []idempotency.Claim{claim}); err != nil || states[0] != idempotency.Held {
			t.Errorf("%s: %v, %v", name, states, err)
		}
	}
	if slack := time.Duration(store.clock.slack) * time.Microsecond; slack.Abs() > time.Minute {
		t.Errorf("the clocks are taken to differ by %s", slack)
	}
}

// A lease counts from when Redis took the claim, and not from when its caller would
// have given up.
func TestRealLeaseCountsFromTheClaim(t *testing.T) {
	store := open(t, startServer(t).url(""), Options{})
	run := idempotency.NewRun()
	claim := aClaim(run)
	for _, step := range []struct {
		later time.Duration
		want  idempotency.Answer
	}{{0, idempotency.Go}, {claim.Lease - time.Second, idempotency.Busy}, {2 * time.Second, idempotency.GoUncertain}} {
		store.skew.Add(step.later.Microseconds())
		claim.Token = run.Next()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		verdicts, err := store.Claim(ctx, []idempotency.Claim{claim})
		cancel()
		if err != nil || verdicts[0].Answer != step.want {
			t.Errorf("after %v more: %v, %v, want %v", step.later, verdicts, err, step.want)
		}
	}
}
