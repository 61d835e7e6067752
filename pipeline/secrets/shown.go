package secrets

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// password is one within a URL, with what stands around it.
var password = regexp.MustCompile(`(://[^/?#\s:@"]*:)[^/?#\s@"]+@`)

// Shown is text as people may see it that records, receivers or libraries had a part
// in: without what is secret, and without the password of any URL.
func (r *Redactor) Shown(text string) string {
	text = r.Text(text)
	if !strings.Contains(text, "://") {
		return text
	}
	return password.ReplaceAllString(text, "${1}"+Redacted+"@")
}

// Error is err with a message that people may see; nil stays nil.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if shown := r.Shown(text); shown != text {
		return &shownError{err, shown}
	}
	return err
}

type shownError struct {
	error
	shown string
}

func (e *shownError) Error() string { return e.shown }

func (e *shownError) Unwrap() error { return e.error }

// JSON is Shown for JSON, which stays valid. Where a secret is not inside of a text,
// so that taking it out would break the JSON, every value is looked at by itself.
func (r *Redactor) JSON(text []byte) []byte {
	shown := r.Shown(string(text))
	if shown == string(text) || json.Valid([]byte(shown)) {
		return []byte(shown)
	}
	var all any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&all) != nil {
		return []byte(`"` + Redacted + `"`)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(r.value(all)) != nil {
		return []byte(`"` + Redacted + `"`)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func (r *Redactor) value(v any) any {
	switch v := v.(type) {
	case string:
		return r.Shown(v)
	case json.Number:
		if shown := r.Shown(v.String()); shown != v.String() {
			return shown
		}
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = r.value(v[name])
		}
	}
	return v
}

// Handler answers as next does, whose errors are JSON, and shows nothing secret in
// them: they may quote others.
func (r *Redactor) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		shown := &errorWriter{ResponseWriter: w}
		next.ServeHTTP(shown, req)
		if shown.failed {
			_, _ = w.Write(r.JSON(shown.body.Bytes()))
		}
	})
}

// errorWriter keeps the body of an error back.
type errorWriter struct {
	http.ResponseWriter
	failed bool
	body   bytes.Buffer
}

func (w *errorWriter) WriteHeader(code int) {
	w.failed = code >= http.StatusBadRequest
	w.ResponseWriter.WriteHeader(code)
}

func (w *errorWriter) Write(body []byte) (int, error) {
	if w.failed {
		return w.body.Write(body)
	}
	return w.ResponseWriter.Write(body)
}

// Unwrap lets an answer be flushed, or have a deadline.
func (w *errorWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
