package yamlconf

import (
	"regexp"
	"strings"

	"github.com/millrace/millrace/handlers"
)

// The ways in which people write units. What they can only have meant is mended;
// a unit that could be two is named with both.
var (
	durationWords = regexp.MustCompile(`^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-zµμ]+)[\s,]*`)
	isoDuration   = regexp.MustCompile(`^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$`)
	sizeWords     = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)$`)
	rateWords     = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*(?:/|per|p|)\s*([A-Za-z]+)$`)
	rateShort     = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*r(?:ps|pm)$`)
	bareNumber    = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+)?$`)
)

// durationUnit is the unit that a word means, "" for none.
func durationUnit(word string) string {
	switch strings.ToLower(word) {
	case "ns", "nanosecond", "nanoseconds":
		return "ns"
	case "us", "µs", "μs", "microsecond", "microseconds":
		return "us"
	case "ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds":
		return "ms"
	case "s", "sec", "secs", "second", "seconds":
		return "s"
	case "m", "min", "mins", "minute", "minutes":
		return "m"
	case "h", "hr", "hrs", "hour", "hours":
		return "h"
	case "d", "day", "days":
		return "d"
	case "w", "wk", "wks", "week", "weeks":
		return "w"
	default:
		return ""
	}
}

// mendDuration is what text means as a duration, "" where that is not certain.
func mendDuration(text string) string {
	if m := isoDuration.FindStringSubmatch(text); m != nil && len(text) > 2 {
		out := ""
		for i, unit := range []string{"w", "d", "h", "m", "s"} {
			if m[i+1] != "" {
				out += m[i+1] + unit
			}
		}
		return out
	}
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

// mendSize is what text means as a size, and how to write it.
func mendSize(text string) (fix, hint string) {
	hint = "write bytes with a unit: 512B, 64kB, 1MB, 64KiB, 16MiB, 1GiB"
	m := sizeWords.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return "", hint
	}
	switch unit := strings.ToLower(m[2]); unit {
	case "b", "byte", "bytes":
		return m[1] + "B", "write " + m[1] + "B"
	case "kib", "mib", "gib":
		fix = m[1] + strings.ToUpper(unit[:1]) + "iB"
		return fix, "write " + fix
	case "k", "kb", "m", "mb", "g", "gb":
		large := strings.ToUpper(unit[:1])
		decimal := large
		if large == "K" {
			decimal = "k"
		}
		power := map[string]string{"K": "1", "M": "2", "G": "3"}[large]
		return "", "write " + m[1] + decimal + "B (1000" + superscript(power) + " bytes each) or " + m[1] + large + "iB (1024" + superscript(power) + ")"
	default:
		return "", hint
	}
}

func superscript(power string) string {
	return map[string]string{"1": "", "2": "²", "3": "³"}[power]
}

// mendRate is what text means as a rate, "" where that is not certain.
func mendRate(text string) string {
	text = strings.TrimSpace(text)
	if bareNumber.MatchString(text) {
		return text + "/s"
	}
	if m := rateShort.FindStringSubmatch(text); m != nil {
		return m[1] + "/" + map[byte]string{'s': "s", 'm': "m"}[text[len(text)-1]]
	}
	m := rateWords.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	switch unit := durationUnit(m[2]); unit {
	case "s", "m", "h":
		if strings.Contains(text, "/") || strings.Contains(text, "per") {
			return m[1] + "/" + unit
		}
	}
	return ""
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
