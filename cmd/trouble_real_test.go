//go:build real

package cmd

import (
	"testing"
	"time"
)

// The same receivers in trouble, with more records.
func TestRealReceiverLimits(t *testing.T) {
	began := time.Now()
	testReceiverLimits(t, 600)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("600 records at 20 a second took %s", took)
	}
}

func TestRealReceiverIsHalfDead(t *testing.T) { testReceiverIsHalfDead(t, 2000) }
