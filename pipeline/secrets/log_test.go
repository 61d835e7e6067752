package secrets

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// No line holds a secret, wherever in it one stands, and what holds none keeps its
// form.
func TestLogsAreRedacted(t *testing.T) {
	var out bytes.Buffer
	log := New([]string{"hunter22"}, false).Logger(slog.New(slog.NewJSONHandler(&out, nil)))
	log.With("from", "hunter22").WithGroup("g").Error("hunter22 failed", "err", errors.New(`dial "hunter22"`), "n", 7,
		slog.Group("inner", "url", "http://u:hunter22@h/"), "list", []string{"a", "hunter22"}, "coded", "aHVudGVyMjI=", "names", []string{"b"})
	text := out.String()
	if strings.Contains(text, "hunter22") || strings.Contains(text, "aHVudGVyMjI") || strings.Count(text, Redacted) != 6 {
		t.Error(text)
	}
	if !strings.Contains(text, `"n":7`) || !strings.Contains(text, `"names":["b"]`) {
		t.Errorf("the form is lost: %s", text)
	}
}
