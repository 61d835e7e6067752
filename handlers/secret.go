package handlers

import (
	"net/url"
	"regexp"
)

var (
	secretName = regexp.MustCompile(`(?i)^(?:proxy-)?authorization$|^(?:set-)?cookie$|token|secret|passw(?:or)?d|api[-_]?key|credential`)
	queryPart  = regexp.MustCompile(`([?&])([^=?&#\s"]+)=([^&#\s"]+)`)
)

// SecretName tells whether the name of a header, a query parameter or a setting
// says that its value is secret, and belongs into no output.
func SecretName(name string) bool { return secretName.MatchString(name) }

// ShownQuery is text, such as a URL, in which the values of query parameters
// with a SecretName are replaced.
func ShownQuery(text string) string {
	return queryPart.ReplaceAllStringFunc(text, func(part string) string {
		m := queryPart.FindStringSubmatch(part)
		name, err := url.QueryUnescape(m[2])
		if err != nil {
			name = m[2]
		}
		if !SecretName(name) {
			return part
		}
		return m[1] + m[2] + "=[redacted]"
	})
}

// Discloser is a request whose JSON leaves out what is secret.
type Discloser interface {
	// Disclose returns what marshals to the same JSON with nothing left out. It
	// is for comparisons, and belongs into no output.
	Disclose() any
}
