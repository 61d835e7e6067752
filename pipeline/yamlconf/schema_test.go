package yamlconf

import (
	"regexp"
	"testing"

	"github.com/millrace/millrace/handlers"
)

// What the schema's patterns take is what the decoder takes, and templates.
func TestPatternsAgreeWithNotations(t *testing.T) {
	texts := []string{
		"", " ", "0", "10", "10s", "1.5h", ".5s", "1m30s", "250ms", "8d", "2w", "1h 5m", "-1s", "10 s", "10x", "s", "1.s",
		"1B", "64kB", "16MiB", "1.5GB", "1 GiB", "5 TB", "5mb", "-5MB", "1e3", "1024",
		"500/s", "30/m", "10/h", "1.5 / s", "5/d", "/s", "500", "500/sec",
	}
	for name, c := range map[string]struct {
		pattern string
		parse   func(string) error
	}{
		"duration": {durationPattern, func(s string) error { _, err := handlers.ParseDuration(s); return err }},
		"size":     {sizePattern, func(s string) error { _, err := ParseSize(s); return err }},
		"rate":     {ratePattern, func(s string) error { _, err := ParseRate(s); return err }},
	} {
		pattern := regexp.MustCompile(c.pattern)
		for _, text := range texts {
			if takes := c.parse(text) == nil; pattern.MatchString(text) != takes {
				t.Errorf("a %s %q: the decoder takes it: %v, the schema: %v", name, text, takes, !takes)
			}
		}
		if !pattern.MatchString("${env.X}") {
			t.Errorf("no template is taken for a %s", name)
		}
	}
}
