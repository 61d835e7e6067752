//go:build real

package testbed_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

func TestRealRedisThroughPauseAndKill(t *testing.T) {
	tests := map[string]struct {
		options redisserver.Options
		after   string // what the key holds after the kill
	}{
		"in memory":        {redisserver.Options{}, ""},
		"append-only file": {redisserver.Options{AppendFsync: "always", Password: "s3cret"}, "kept"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := bounded(t)
			r := redisserver.Need(t, tt.options)
			redis(t, r, "OK", "SET", "key", "kept")

			if err := r.Pause(); err != nil {
				t.Fatal(err)
			}
			short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			defer cancel()
			if out, err := r.Run(short, "PING"); err == nil || !errors.Is(short.Err(), context.DeadlineExceeded) {
				t.Fatalf("a paused server answers %q, %v", out, err)
			}
			if err := r.Continue(); err != nil {
				t.Fatal(err)
			}
			redis(t, r, "kept", "GET", "key")

			if err := r.Kill(); err != nil {
				t.Fatal(err)
			}
			if out, err := r.Run(ctx, "PING"); err == nil {
				t.Fatalf("a killed server answers %q", out)
			}
			if err := r.Start(ctx); err != nil {
				t.Fatal(err)
			}
			redis(t, r, tt.after, "GET", "key")
			if err := r.Start(ctx); err == nil {
				t.Error("a server that runs was started again")
			}
		})
	}
}

func redis(t *testing.T, r *redisserver.Server, want string, args ...string) {
	t.Helper()
	got, err := r.Run(bounded(t), args...)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("%v: got %q, want %q", args, got, want)
	}
}
