package yamlconf

import (
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
)

// The ways in which people write units. What they can only have meant is mended;
// a unit that could be two is named with both.
var (
	durationWords = regexp.MustCompile(`^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-zµμ]+)[\s,]*`)
	sizeWords     = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)$`)
	rateWords     = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*(?:(?:/|per)\s*([A-Za-z]+)|)$`)
)

// durationUnits are the units with the words that mean them.
var durationUnits = map[string][]string{
	"ns": {"ns", "nanosecond"},
	"us": {"us", "µs", "μs", "microsecond"},
	"ms": {"ms", "msec", "milli", "millisecond"},
	"s":  {"s", "sec", "second"},
	"m":  {"m", "min", "minute"},
	"h":  {"h", "hr", "hour"},
	"d":  {"d", "day"},
	"w":  {"w", "wk", "week"},
}

// durationUnit is the unit that a word means, "" for none.
func durationUnit(word string) string {
	word = strings.ToLower(word)
	for unit, words := range durationUnits {
		if slices.Contains(words, word) || len(word) > 3 && slices.Contains(words, strings.TrimSuffix(word, "s")) {
			return unit
		}
	}
	return ""
}

// mendDuration is what text means as a duration, "" where that is not certain.
func mendDuration(text string) string {
	out := ""
	for rest := strings.TrimSpace(text); rest != ""; {
		m := durationWords.FindStringSubmatch(rest)
		if m == nil || durationUnit(m[2]) == "" || m[2] == "M" {
			return ""
		}
		out += m[1] + durationUnit(m[2])
		rest = rest[len(m[0]):]
	}
	if _, err := handlers.ParseDuration(out); err != nil {
		return ""
	}
	return out
}

// durationHint says how to write what is meant.
func durationHint(text string) string {
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "month"), strings.Contains(lower, "year"):
		return "the longest unit is a week: write 30d for a month, 365d for a year"
	case strings.HasPrefix(text, "-"):
		return "a duration has no sign"
	default:
		return "write a number with a unit: 250ms, 10s, 5m, 2h, 8d, 1w"
	}
}

// sizeUnits are units as people write them, with what they can mean.
var sizeUnits = map[string]string{
	"b": "B", "byte": "B", "bytes": "B", "kib": "KiB", "mib": "MiB", "gib": "GiB",
	"k": "kB or KiB", "kb": "kB or KiB", "m": "MB or MiB", "mb": "MB or MiB", "g": "GB or GiB", "gb": "GB or GiB",
}

// mendSize is what text means as a size, and how to write it.
func mendSize(text string) (fix, hint string) {
	m := sizeWords.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || sizeUnits[strings.ToLower(m[2])] == "" {
		return "", "write bytes with a unit: 512B, 64kB, 1MB, 64KiB, 16MiB, 1GiB"
	}
	decimal, binary, two := strings.Cut(sizeUnits[strings.ToLower(m[2])], " or ")
	if two {
		return "", "write " + m[1] + decimal + " (powers of 1000 bytes) or " + m[1] + binary + " (of 1024)"
	}
	return m[1] + decimal, "write " + m[1] + decimal
}

// mendRate is what text means as a rate, "" where that is not certain.
func mendRate(text string) string {
	m := rateWords.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return ""
	}
	switch unit := durationUnit(m[2]); {
	case m[2] == "":
		return m[1] + "/s"
	case unit == "s" || unit == "m" || unit == "h":
		return m[1] + "/" + unit
	default:
		return ""
	}
}

// mendBool is the boolean that a word means, "" for none.
func mendBool(text string) string {
	switch strings.ToLower(text) {
	case "yes", "on", "y", "t", "1", "enabled", "enable":
		return "true"
	case "no", "off", "n", "f", "0", "disabled", "disable":
		return "false"
	default:
		return ""
	}
}
