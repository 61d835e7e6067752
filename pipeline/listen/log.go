package listen

import (
	"bytes"
	"log"
	"log/slog"
)

// ErrorLog is where a server writes: what clients do wrong is nothing to warn of,
// what goes wrong here is.
func ErrorLog(logger *slog.Logger) *log.Logger { return log.New(&lines{logger}, "", 0) }

type lines struct{ logger *slog.Logger }

// Write logs one line of the server.
func (l *lines) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	switch {
	case bytes.HasPrefix(line, []byte("http: panic")):
		l.logger.Error("a request ran into a fault of this program", "err", text)
	case bytes.HasPrefix(line, []byte("http: Accept error")):
		l.logger.Warn("connections can't be taken for a moment", "err", text)
	default:
		l.logger.Debug("http", "err", text)
	}
	return len(line), nil
}
