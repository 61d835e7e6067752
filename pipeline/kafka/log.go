package kafka

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/twmb/franz-go/pkg/kgo"
)

// repeatAfter is how long a warning of the client that was just logged is kept
// quiet: a broker that is away yields the same one many times a second.
const repeatAfter = 30 * time.Second

// WatermillLogger hands what Watermill logs to logger, its notes on the life of
// handlers as debug messages.
func WatermillLogger(logger *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(logger, map[slog.Level]slog.Level{
		slog.LevelInfo:       slog.LevelDebug,
		slog.LevelDebug:      watermill.LevelTrace,
		watermill.LevelTrace: watermill.LevelTrace - 4,
		slog.LevelWarn:       slog.LevelWarn,
		slog.LevelError:      slog.LevelWarn,
	})
}

// clientLogger hands what the reading client logs to slog. The client calls an
// error what it will try again by itself, so both its errors and its warnings
// are warnings here, each at most once in repeatAfter.
type clientLogger struct {
	logger *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time
}

func newClientLogger(logger *slog.Logger) *clientLogger {
	return &clientLogger{logger: logger, last: map[string]time.Time{}}
}

// Level is how much the client should log at all.
func (l *clientLogger) Level() kgo.LogLevel { return kgo.LogLevelInfo }

// Log passes one message on.
func (l *clientLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	log := l.logger.Debug
	if level <= kgo.LogLevelWarn {
		if log = l.logger.Warn; l.repeated(msg) {
			return
		}
	}
	attrs := make([]any, 0, len(keyvals))
	for i := 0; i+1 < len(keyvals); i += 2 {
		attrs = append(attrs, slog.Any(fmt.Sprint(keyvals[i]), keyvals[i+1]))
	}
	log(msg, attrs...)
}

func (l *clientLogger) repeated(msg string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.last[msg]) < repeatAfter {
		return true
	}
	l.last[msg] = now
	return false
}
