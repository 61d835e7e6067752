package secrets

import (
	"context"
	"fmt"
	"log/slog"
)

// Logger is a logger whose lines hold nothing that is secret, whoever writes them: the
// errors of libraries may quote what they were given.
func (r *Redactor) Logger(log *slog.Logger) *slog.Logger {
	if r == nil || log == nil {
		return log
	}
	return slog.New(&redactingHandler{log.Handler(), r})
}

type redactingHandler struct {
	slog.Handler
	redactor *Redactor
}

// Handle redacts the line's message and attributes.
func (h *redactingHandler) Handle(ctx context.Context, line slog.Record) error {
	shown := slog.NewRecord(line.Time, line.Level, h.redactor.Shown(line.Message), line.PC)
	line.Attrs(func(a slog.Attr) bool {
		shown.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, shown)
}

// WithAttrs redacts the attributes once.
func (h *redactingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	shown := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		shown[i] = h.attr(a)
	}
	return &redactingHandler{h.Handler.WithAttrs(shown), h.redactor}
}

// WithGroup keeps redacting what goes into the group.
func (h *redactingHandler) WithGroup(name string) slog.Handler {
	return &redactingHandler{h.Handler.WithGroup(name), h.redactor}
}

func (h *redactingHandler) attr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(h.redactor.Shown(a.Value.String()))
	case slog.KindGroup:
		var parts []any
		for _, part := range a.Value.Group() {
			parts = append(parts, h.attr(part))
		}
		return slog.Group(a.Key, parts...)
	case slog.KindAny:
		// What holds no secret keeps its form.
		if text := fmt.Sprint(a.Value.Any()); h.redactor.Shown(text) != text {
			a.Value = slog.StringValue(h.redactor.Shown(text))
		}
	}
	return a
}
