package yamlconf_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]handlers.Size{
		"0": 0, "512": 512, "1B": 1, "64kB": 64_000, "1MB": 1_000_000, "2GB": 2_000_000_000,
		"64KiB": 64 << 10, "16MiB": 16 << 20, "1GiB": 1 << 30, "1.5MiB": 3 << 19, "16 MiB": 16 << 20,
	} {
		if got, err := yamlconf.ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1B", "KB", "1KB", "1mb", "1TiB", "1e3", "99999999999GiB", "1  MB"} {
		if got, err := yamlconf.ParseSize(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]handlers.Rate{"500/s": 500, "30/m": 0.5, "36/h": 0.01, "1.5 / s": 1.5} {
		if got, err := yamlconf.ParseRate(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "500", "/s", "500/d", "-1/s", "500/s/s"} {
		if got, err := yamlconf.ParseRate(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestFormatsAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "duration"))
		d = d.Truncate(rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second, time.Hour, 24 * time.Hour}).Draw(t, "unit"))
		text := yamlconf.FormatDuration(d)
		if got, err := handlers.ParseDuration(text); err != nil || (got-d).Abs() > d/1_000_000 {
			t.Errorf("%v is written %q and read %v, %v", d, text, got, err)
		}
		size := rapid.Int64Range(0, 1<<50).Draw(t, "size")
		text = yamlconf.FormatSize(size)
		if got, err := yamlconf.ParseSize(text); err != nil || int64(got) != size {
			t.Errorf("%d is written %q and read %v, %v", size, text, got, err)
		}
	})
}
