package embedded

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// repeatAfter is how long a warning of one sort is not repeated: a full disk
// makes one a request.
const repeatAfter = 30 * time.Second

// kfakeLogger passes kfake's messages to slog, its chatter as debug.
type kfakeLogger struct {
	logger *slog.Logger
	mu     sync.Mutex
	last   map[string]time.Time
}

func newLogger(logger *slog.Logger) *kfakeLogger {
	return &kfakeLogger{logger: logger, last: make(map[string]time.Time)}
}

// Logf is called by kfake, from several goroutines.
func (l *kfakeLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		if l.due(format) {
			l.logger.Error("embedded broker", "detail", fmt.Sprintf(format, args...))
		}
	case kfake.LogLevelWarn:
		if l.due(format) {
			l.logger.Warn("embedded broker", "detail", fmt.Sprintf(format, args...))
		}
	default:
		l.logger.Debug("embedded broker", "detail", fmt.Sprintf(format, args...))
	}
}

func (l *kfakeLogger) due(format string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if last, ok := l.last[format]; ok && now.Sub(last) < repeatAfter {
		return false
	}
	l.last[format] = now
	return true
}
