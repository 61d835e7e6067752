package cmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
)

// timeForms are how a time is written, wherever a command takes one.
const timeForms = "RFC 3339, a date (UTC), how long ago (-2h), earliest or latest"

// parseTime reads a time as it is written for every command.
func parseTime(s string, now time.Time) (time.Time, error) {
	switch s {
	case "earliest":
		return earliest(), nil
	case "latest":
		return now, nil
	}
	if ago, err := handlers.ParseDuration(strings.TrimPrefix(s, "-")); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write one such as 2026-01-31T08:00:00Z, a date such as "+
		"2026-01-31, how long ago, such as -2h, earliest or latest", s)
}

// earliest stands for the time of the first record.
func earliest() time.Time { return time.UnixMilli(0) }
