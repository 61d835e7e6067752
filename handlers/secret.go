package handlers

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Redacted stands in every output for what nobody may see.
const Redacted = "[redacted]"

var (
	separators = strings.NewReplacer("-", "_", ".", "_", " ", "_")
	camel      = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	// secretName is matched by names in small letters with _ between their words.
	secretName = regexp.MustCompile(`token|secret|passw(?:or)?d|credential|(?:api|access|account|private|shared|subscription)_?key` +
		`|(?:^|_)(?:authorization|cookies?)(?:_|$)` +
		`|(?:^|_)(?:o?auth|sig|signature|pwd|passphrase|private|bearer|jwt|session(?:_?id)?)(?:_[0-9]+)?$`)
	keyName = regexp.MustCompile(`(?:^|_)([a-z0-9]+)_key$`)
	// openKey are the words before "key" of what is a key and locks nothing.
	openKey = regexp.MustCompile(`^(?:idempotency|deduplication|dedup|partition|partitioning|routing|order|ordering|sort|group|message|record|event|` +
		`row|item|object|entity|primary|foreign|composite|business|natural|unique|public|cache|lookup|join|shard|hash|range|tenant|customer|` +
		`user|product|correlation|kafka|surrogate|map|field|s3)$`)
	queryPart = regexp.MustCompile(`([?&])([^=?&#\s"]+)=([^&#\s"]+)`)
)

// SecretName tells whether the name of a header, a query parameter or a setting
// says that its value is secret, and belongs into no output.
func SecretName(name string) bool {
	plain := strings.ToLower(camel.ReplaceAllString(name, "${1}_${2}"))
	plain = separators.Replace(plain)
	if secretName.MatchString(plain) {
		return true
	}
	m := keyName.FindStringSubmatch(plain)
	return m != nil && !openKey.MatchString(m[1])
}

// SecretParameter is SecretName for the names of query parameters, where more of
// them are secret: services take their keys so.
func SecretParameter(name string) bool {
	return SecretName(name) || strings.EqualFold(name, "key") || strings.EqualFold(name, "code")
}

// SecretVariable is SecretName for the names of environment variables. The address
// of a webhook is all that it takes to call one; a path is no secret, nor is the
// folder that a shell is in.
func SecretVariable(name string) bool {
	plain := strings.ToUpper(name)
	switch _, last, _ := cutLast(plain, "_"); last {
	case "FILE", "PATH", "DIR":
		return false
	}
	return plain != "PWD" && plain != "OLDPWD" && (SecretName(name) || strings.Contains(plain, "WEBHOOK"))
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// ShownQuery is text, such as a URL, in which the values of secret query
// parameters are replaced.
func ShownQuery(text string) string {
	return queryPart.ReplaceAllStringFunc(text, func(part string) string {
		m := queryPart.FindStringSubmatch(part)
		name, err := url.QueryUnescape(m[2])
		if err != nil {
			name = m[2]
		}
		if !SecretParameter(name) {
			return part
		}
		return m[1] + m[2] + "=" + Redacted
	})
}

// WithoutSecrets is the record as people may see it: without the values of headers whose
// names tell that they are secret.
func (r *Record) WithoutSecrets() *Record {
	shown := *r
	shown.Headers = slices.Clone(r.Headers)
	for i, h := range shown.Headers {
		if h.Value != nil && SecretName(h.Key) {
			shown.Headers[i].Value = []byte(Redacted)
		}
	}
	return &shown
}

// Discloser is a request whose JSON leaves out what is secret.
type Discloser interface {
	// Disclose returns what marshals to the same JSON with nothing left out. It
	// is for comparisons, and belongs into no output.
	Disclose() any
}
