package yamlconf

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
)

var sizeText = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)$`)

// ParseSize reads a number of bytes with one of the units B, kB, MB, GB, KiB,
// MiB, GiB, or without a unit.
func ParseSize(text string) (handlers.Size, error) {
	m := sizeText.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is not a size", text)
	}
	unit, ok := map[string]float64{"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20,
		"GiB": 1 << 30}[m[2]]
	if !ok {
		return 0, fmt.Errorf("%q has an unknown unit %q", text, m[2])
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil || n*unit >= 1<<62 {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return handlers.Size(n * unit), nil
}

var rateText = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?/ ?(s|m|h)$`)

// ParseRate reads a number per second, minute or hour: 500/s, 30/m, 10/h.
func ParseRate(text string) (handlers.Rate, error) {
	m := rateText.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is not a rate", text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, fmt.Errorf("%q is too large", text)
	}
	if n == 0 {
		return 0, fmt.Errorf("%q would let nothing through: leave the key out for no limit", text)
	}
	return handlers.Rate(n / map[string]float64{"s": 1, "m": 60, "h": 3600}[m[2]]), nil
}

// FormatDuration writes a duration as handlers.ParseDuration reads it, in the largest
// units that make it short: 8d, 1m30s, 250ms.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%time.Hour == 0 {
		text := strconv.FormatInt(int64(d/day), 10) + "d"
		if hours := d % day / time.Hour; hours > 0 {
			text += strconv.FormatInt(int64(hours), 10) + "h"
		}
		return text
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// FormatSize writes a size as ParseSize reads it, in the unit that makes the
// smallest whole number.
func FormatSize(size int64) string {
	best, unit := size, "B"
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n := size / u.bytes; size%u.bytes == 0 && n > 0 && n < best {
			best, unit = n, u.name
		}
	}
	return strconv.FormatInt(best, 10) + unit
}

// FormatRate writes a rate as ParseRate reads it, per second, minute or hour,
// whichever leaves a whole number.
func FormatRate(rate handlers.Rate) string {
	for _, u := range []struct {
		name    string
		seconds float64
	}{{"/s", 1}, {"/m", 60}, {"/h", 3600}} {
		whole := math.Round(float64(rate) * u.seconds)
		if whole > 0 && whole < 1<<53 && whole/u.seconds == float64(rate) {
			return strconv.FormatFloat(whole, 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatFloat(float64(rate), 'f', -1, 64) + "/s"
}
