package secrets

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/millrace/millrace/handlers"
)

// password is one within a URL, with what stands around it.
var password = regexp.MustCompile(`(://[^/?#\s:@"]*:)[^/?#\s@"]+@`)

// Shown is Text, also without the passwords of URLs, whoever wrote them.
func (r *Redactor) Shown(text string) string {
	return password.ReplaceAllString(r.Text(text), "${1}xxxxx@")
}

// JSON is Shown for JSON. Where a secret is not inside of a text, so that taking it
// out would break the JSON, every value is looked at by itself.
func (r *Redactor) JSON(line []byte) []byte {
	shown := r.Shown(string(line))
	if shown == string(line) || json.Valid([]byte(shown)) {
		return []byte(shown)
	}
	var all any
	d := json.NewDecoder(bytes.NewReader(line))
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
		shown := make(map[string]any, len(v))
		for name, inner := range v {
			shown[r.Shown(name)] = r.value(inner)
		}
		return shown
	}
	return v
}

// WithoutSecretHeaders is a record without the values of headers whose names tell
// that they are secret.
func WithoutSecretHeaders(rec *handlers.Record) *handlers.Record {
	shown := *rec
	shown.Headers = slices.Clone(rec.Headers)
	for i, h := range shown.Headers {
		if h.Value != nil && handlers.SecretName(h.Key) {
			shown.Headers[i].Value = []byte(Redacted)
		}
	}
	return &shown
}
