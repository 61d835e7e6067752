package handlers_test

import (
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "250ms": 250 * time.Millisecond, "1m30s": 90 * time.Second, "8d": 8 * day, "1w": 7 * day,
		"1w2d3h": 9*day + 3*time.Hour, "1.5d": 36 * time.Hour, ".5s": 500 * time.Millisecond, "100us": 100 * time.Microsecond, "5µs": 5 * time.Microsecond,
	} {
		if got, err := handlers.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "10", "-1s", "+1s", "1 s", "7 days", "d", "1y", "300000d", "1.2.3s", "9999999999999999999s", "1s "} {
		if got, err := handlers.ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
