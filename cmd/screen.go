package cmd

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen is a terminal to write to. What records, brokers and files hold is shown
// there and never acted on: control characters, and marks that turn text round, are
// written out as \u001b.
type screen struct {
	file *os.File
	out  io.Writer
	// colours lets those through that we paint in ourselves.
	colours bool

	mu   sync.Mutex
	rest []byte // the beginning of a character
}

// onScreen is a stream as it is written to: a terminal, or what takes bytes as they
// are.
func onScreen(w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return &screen{file: file, out: file}
	}
	return w
}

// painted is a stream for text that may be coloured.
func painted(w io.Writer) io.Writer {
	if s, ok := w.(*screen); ok {
		return &screen{file: s.file, out: s.out, colours: true}
	}
	return w
}

// raw is a stream for what moves the cursor, and so must hold nothing of anybody
// else's.
func raw(w io.Writer) io.Writer {
	if s, ok := w.(*screen); ok {
		return s.out
	}
	return w
}

// fileOf is the file behind a stream, where there is one.
func fileOf(stream any) (*os.File, bool) {
	if s, ok := stream.(*screen); ok {
		return s.file, s.file != nil
	}
	file, ok := stream.(*os.File)
	return file, ok
}

// Stat is that of the terminal.
func (s *screen) Stat() (fs.FileInfo, error) { return s.file.Stat() }

// Write writes p with all that a terminal would act on written out. It may be called
// concurrently.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := append(s.rest, p...)
	end := wholeUpTo(text)
	s.rest = bytes.Clone(text[end:])
	n, err := s.out.Write(s.shown(text[:end]))
	if err != nil {
		return min(n, len(p)), err
	}
	return len(p), nil
}

// wholeUpTo is where the last character of text ends that is not cut.
func wholeUpTo(text []byte) int {
	if bytes.HasSuffix(text, []byte("\r")) {
		return len(text) - 1 // a line break may follow
	}
	for i := len(text) - 1; i >= 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}

func (s *screen) shown(text []byte) []byte {
	if !bytes.ContainsFunc(text, actsOn) {
		return text
	}
	out := make([]byte, 0, len(text)+16)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			out = fmt.Appendf(out, `\x%02x`, text[i])
		case r == utf8.RuneError:
			out = append(out, text[i:i+size]...)
		case r == '\r' && bytes.HasPrefix(text[i+1:], []byte("\n")), !actsOn(r):
			out = append(out, text[i:i+size]...)
		case r == 0x1b && s.colours && colourAt(text[i:]) > 0:
			size = colourAt(text[i:])
			out = append(out, text[i:i+size]...)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += size
	}
	return out
}

// actsOn tells of characters that move the cursor, change the terminal, or change
// how others read.
func actsOn(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r), r == utf8.RuneError:
		return true
	}
	return unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// colourAt is how long the sequence is that text begins with, if it is one that
// text is painted with.
func colourAt(text []byte) int {
	end := bytes.IndexByte(text[:min(len(text), len("\x1b[31m"))], 'm')
	if end < 0 || !slices.Contains([]string{"\x1b[0", "\x1b[1", "\x1b[2", "\x1b[31", "\x1b[32", "\x1b[33", "\x1b[34",
		"\x1b[35", "\x1b[36"}, string(text[:end])) {
		return 0
	}
	return end + 1
}
