package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/handlers"
)

// maxName is how long file systems let a name be.
const maxName = 255

// longest is how long a name may be: what rotation adds to it must fit too.
func (c *Config) longest() int {
	if c.Rotate.rotates() {
		return maxName - len(asideLayout) - len("-9999")
	}
	return maxName
}

// checkName says why a name within the folder can't be. What a record made begins no
// hidden file, and nothing that a command takes for an option: only where that is
// written out.
func checkName(name string, longest int, written string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case strings.ContainsFunc(name, hidden):
		return errors.New("holds a control character, a backslash, or a mark that hides how it reads")
	case len(name) > 1024:
		return errors.New("is longer than 1,024 bytes")
	case filepath.IsAbs(name) || strings.HasPrefix(name, "/"):
		return errors.New("must be a name within dir, not begin at the root")
	}
	parts := strings.Split(written, "/")
	for i, part := range strings.Split(name, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return errors.New("has a part that is empty, . or ..")
		case strings.TrimSpace(part) != part:
			return errors.New("has a part that begins or ends with a space")
		case (part[0] == '.' || part[0] == '-') && (i >= len(parts) || !strings.HasPrefix(parts[i], part[:1])):
			return errors.New("has a part that begins with . or -")
		case len(part) > longest:
			return fmt.Errorf("has a part that is longer than %d bytes", longest)
		}
	}
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return errors.New("is not a name that this system takes")
	}
	return nil
}

// hidden tells of characters that no name needs: those that a terminal acts on, and
// those that show nothing themselves and turn the order of others round.
func hidden(r rune) bool {
	return r == '\\' || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' ||
		r == utf8.RuneError
}

// request is what is appended for one record, and where.
type request struct {
	path string
	data []byte // with its newline, unless raw
	raw  bool
}

// MarshalJSON shows the line as text, raw bytes that are no text as base64.
func (r *request) MarshalJSON() ([]byte, error) {
	shown := map[string]any{"path": r.path}
	switch {
	case !r.raw:
		shown["line"] = string(bytes.TrimSuffix(r.data, []byte("\n")))
	case utf8.Valid(r.data):
		shown["raw"] = string(r.data)
	default:
		shown["raw_base64"] = r.data
	}
	return json.Marshal(shown)
}

// Show is the file's name and what is appended to it.
func (r *request) Show() string {
	return r.path + ": " + string(bytes.TrimSuffix(r.data, []byte("\n")))
}

// Render makes what is appended, and checks the name that the record makes.
func (s *sink) Render(view handlers.View) (any, error) {
	path, err := view.Text(s.config.Path)
	if err == nil {
		if err = checkName(path, s.config.longest(), s.config.Path.Sample); err != nil {
			err = fmt.Errorf("the name %w", err) // which the record made, and is not to be in logs
		}
	}
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	r := &request{path: path, raw: s.config.Format == "raw"}
	record := view.Record()
	switch {
	case r.raw && record.Value == nil:
		return nil, fmt.Errorf("a tombstone has no bytes to append: %w", handlers.ErrSkip)
	case r.raw:
		r.data = record.Value
	case s.config.Format == "record":
		r.data = append(handlers.AppendJSON(nil, record), '\n')
	case record.Value == nil:
		r.data = []byte("null\n")
	default:
		r.data = line(record.Value, view.JSON())
	}
	return r, nil
}

// line is a value on one line: JSON without its line breaks, other text with
// them written out.
func line(value []byte, isJSON bool) []byte {
	if !bytes.ContainsAny(value, "\r\n") {
		return append(append(make([]byte, 0, len(value)+1), value...), '\n')
	}
	if isJSON {
		var compact bytes.Buffer
		if json.Compact(&compact, value) == nil {
			return append(compact.Bytes(), '\n')
		}
	}
	value = bytes.ReplaceAll(value, []byte("\n"), []byte(`\n`))
	return append(bytes.ReplaceAll(value, []byte("\r"), []byte(`\r`)), '\n')
}
