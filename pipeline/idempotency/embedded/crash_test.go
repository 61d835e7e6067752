package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// confirmForever is set in a child of this test, to the folder of its store.
const confirmForever = "EMBEDDED_TEST_CONFIRM_FOREVER"

// TestMain is the child where it is asked to be, else the tests.
func TestMain(m *testing.M) {
	if dir := os.Getenv(confirmForever); dir != "" {
		fmt.Fprintln(os.Stderr, confirmUntilKilled(dir))
		os.Exit(1)
	}
	m.Run()
}

// numbered is the claim of the nth key of a lane.
func numbered(run *idempotency.Run, lane, n int) idempotency.Claim {
	c := aClaim(run, n%2 == 0)
	c.ID = idempotency.Identity("p", "s", 1, strconv.Itoa(lane)+"/"+strconv.Itoa(n))
	c.TTL = 24 * time.Hour
	return c
}

// confirmUntilKilled confirms keys on four lanes, in batches of lane+1, and
// prints each batch after it was confirmed.
func confirmUntilKilled(dir string) error {
	store, err := Open(dir, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	run := idempotency.NewRun()
	ctx := context.Background()
	failed := make(chan error)
	for lane := range 4 {
		go func() {
			for n := 0; ; {
				batch := make([]idempotency.Claim, lane+1)
				for i := range batch {
					batch[i] = numbered(run, lane, n)
					n++
				}
				if _, err := store.Claim(ctx, batch); err != nil {
					failed <- err
				}
				if _, err := store.Confirm(ctx, batch); err != nil {
					failed <- err
				}
				fmt.Printf("%d %d\n", lane, n)
			}
		}()
	}
	return <-failed
}

// A process is killed in the middle of its work, four times over: no key that it
// said to be confirmed is forgotten.
func TestKilledProcessForgetsNothing(t *testing.T) {
	dir := t.TempDir()
	for round := range 4 {
		confirmed := killInTheMiddle(t, dir, 500*(round+1))
		store, err := Open(dir, Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatalf("open after a kill: %v", err)
		}
		run, checked := idempotency.NewRun(), 0
		for lane, n := range confirmed {
			for i := range n {
				rows, err := store.Get(t.Context(), []idempotency.ID{numbered(run, lane, i).ID})
				if err != nil {
					t.Fatal(err)
				}
				if rows[0] == nil || rows[0].State != idempotency.Confirmed {
					t.Fatalf("round %d: key %d of %d of lane %d was confirmed and is %+v", round, i, n, lane, rows[0])
				}
				checked++
			}
		}
		t.Logf("%d keys were confirmed before the kill", checked)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// killInTheMiddle runs a child, kills it once it has reported so many batches,
// and returns how many keys of each lane were confirmed by then.
func killInTheMiddle(t *testing.T, dir string, batches int) map[int]int {
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), confirmForever+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	confirmed := map[int]int{}
	lines := bufio.NewReader(out)
	for seen := 0; ; seen++ {
		if seen == batches {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		// A line that the kill cut short does not count.
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var lane, n int
		if _, err := fmt.Sscan(line, &lane, &n); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		confirmed[lane] = n
	}
	if err := child.Wait(); child.ProcessState.Exited() {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return confirmed
}

// The machine loses its power while keys are confirmed, and of what was not
// synced any part reaches the disk, torn at any place.
func TestTornTail(t *testing.T) {
	for _, kept := range []int{0, 20, 50, 90, 100} {
		t.Run(strconv.Itoa(kept)+" percent", func(t *testing.T) {
			c := newCrashing()
			store := c.open(t)
			run := idempotency.NewRun()
			var mu sync.Mutex
			var confirmed []idempotency.Claim
			var lanes sync.WaitGroup
			var left *vfs.MemFS
			var before int
			for range 4 {
				lanes.Go(func() {
					for range 100 {
						batch := make([]idempotency.Claim, 4)
						for i := range batch {
							batch[i] = aClaim(run, i%2 == 0)
						}
						if _, err := store.Claim(t.Context(), batch); err != nil {
							t.Error(err)
						}
						if _, err := store.Confirm(t.Context(), batch); err != nil {
							t.Error(err)
						}
						mu.Lock()
						confirmed = append(confirmed, batch...)
						if left == nil && len(confirmed) > 600 {
							before = len(confirmed)
							left = c.crashed(kept)
						}
						mu.Unlock()
					}
				})
			}
			lanes.Wait()
			if left == nil {
				t.Fatal("the test ended without a crash")
			}
			c.fs = left
			store = c.open(t)
			for i, claim := range confirmed[:before] {
				rows, err := store.Get(t.Context(), []idempotency.ID{claim.ID})
				if err != nil {
					t.Fatal(err)
				}
				if rows[0] == nil || rows[0].State != idempotency.Confirmed {
					t.Fatalf("key %d of %d was confirmed and is %+v", i, before, rows[0])
				}
			}
		})
	}
}
