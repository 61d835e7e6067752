package handlers

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

var durationPart = regexp.MustCompile(`^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w)`)

// ParseDuration reads Go's durations and the units d (24 h) and w (7 d), such as
// 250ms, 1m30s, 8d. A sign is not allowed.
func ParseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	var total float64
	var exact time.Duration
	rest := text
	for rest != "" {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, fmt.Errorf("%q is not a duration", text)
		}
		unit := map[string]time.Duration{"ns": 1, "us": time.Microsecond, "µs": time.Microsecond,
			"μs": time.Microsecond,
			"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
			"w": 7 * 24 * time.Hour}[m[2]]
		if whole, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			exact += time.Duration(whole) * unit
			total += float64(whole) * float64(unit)
		} else if part, err := strconv.ParseFloat(m[1], 64); err == nil {
			exact += time.Duration(math.Round(part * float64(unit)))
			total += part * float64(unit)
		} else {
			return 0, fmt.Errorf("%q is too long", text)
		}
		rest = rest[len(m[0]):]
	}
	if text == "" {
		return 0, fmt.Errorf("%q is not a duration", text)
	}
	if total >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is longer than 292 years", text)
	}
	return exact, nil
}
