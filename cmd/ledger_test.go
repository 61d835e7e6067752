//go:build unix

package cmd

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/ledger"
)

// ledgerShort are the faults of the short form.
var ledgerShort = []ledger.Fault{
	ledger.Limited, ledger.StoppedAway, ledger.Killed, ledger.Again, ledger.Rolled,
}

// The ledger in its short form, on an embedded broker with embedded keys.
func TestLedger(t *testing.T) {
	b := standIn(t)
	keepBooks(t, ledger.Options{
		Seed: 1, Time: 18 * time.Second, Rate: 100, Backlog: 1500, Faults: ledgerShort,
		Brokers: b.brokers, Store: b.store, Replicas: 1,
	})
}

// keepBooks runs the ledger and fails where its books do not come out even.
// LEDGER_SEED and LEDGER_TIME go before the options; LEDGER_BINARY is another
// millrace to watch, and LEDGER_DIR a folder that stays.
func keepBooks(t *testing.T, o ledger.Options) {
	t.Helper()
	if text := os.Getenv("LEDGER_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		o.Seed, o.Faults = seed, nil
	}
	if text := os.Getenv("LEDGER_TIME"); text != "" {
		long, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Time, o.Faults = long, nil
	}
	o.Dir, o.Log = t.TempDir(), t.Logf
	if keep := os.Getenv("LEDGER_DIR"); keep != "" {
		o.Dir = filepath.Join(keep, t.Name())
	}
	binary := cmp.Or(os.Getenv("LEDGER_BINARY"), os.Args[0])
	o.Command = func(args ...string) *exec.Cmd {
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), childEnv+"=1")
		return cmd
	}
	report, err := ledger.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.Line)
	for _, wrong := range report.Wrong {
		t.Error(wrong)
	}
}
