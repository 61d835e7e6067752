package yamlconf

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
)

// Redacted stands for a secret whose text is in the configuration itself. It is
// a variable that nobody sets: what holds it can be validated with --skip-env,
// and not be run by mistake.
const Redacted = "${" + redactedExpression + "}"

// redactedExpression is Redacted where an expression stands.
const redactedExpression = "env.REDACTED"

// IsRedacted tells whether a secret was left out of a text that is written.
func IsRedacted(text string) bool {
	return text == redactedExpression || strings.Contains(text, Redacted)
}

const (
	// oneReference is a variable or a file, without a default that might be a
	// secret itself.
	oneReference = `\$\{\s*(?:env\.[A-Za-z_][A-Za-z0-9_]*|file\((?:"[^"]*"|'[^']*')\))\s*\}`
)

var (
	anyReference  = regexp.MustCompile(oneReference)
	reference     = regexp.MustCompile(`^` + oneReference + `$`)
	safeUser      = regexp.MustCompile(`^(?:[^:$]*:)?` + oneReference + `$|^[^:$]*$`)
	safeHeader    = regexp.MustCompile(`^(?:[A-Za-z]+ )?` + oneReference + `$`)
	queryPart     = regexp.MustCompile(`([?&])([^=?&#\s${}]+)=((?:\$\{[^}]*\}|[^&#\s$])+)`)
	innerUserinfo = regexp.MustCompile(`://[^/"'\s{}]*@`)
)

// secretText is what can be shown of the source of a secret: where it comes
// from.
func secretText(source string) string {
	if reference.MatchString(source) {
		return source
	}
	return Redacted
}

// ShownURL is the source of a URL's template without a user and password that
// stand in it, nor query parameters whose names tell that they are secret.
func ShownURL(source string) string {
	shown := shownUser(source)
	return queryPart.ReplaceAllStringFunc(shown, func(part string) string {
		m := queryPart.FindStringSubmatch(part)
		if !handlers.SecretParameter(m[2]) || safeHeader.MatchString(m[3]) {
			return part
		}
		return m[1] + m[2] + "=" + Redacted
	})
}

func shownUser(source string) string {
	if reference.MatchString(source) {
		return source
	}
	start, end := userinfo(source)
	if start < 0 {
		if innerUserinfo.MatchString(source) {
			return Redacted
		}
		return source
	}
	if safeUser.MatchString(source[start:end]) && strings.Contains(source[start:end], "${") {
		return source
	}
	return source[:start] + Redacted + source[end:]
}

// userinfo is where the user and password of a URL's template stand; the start
// is negative where there are none.
func userinfo(source string) (start, end int) {
	_, rest, ok := strings.Cut(source, "://")
	if !ok || strings.Contains(source[:len(source)-len(rest)], "${") {
		return -1, -1
	}
	start, end = len(source)-len(rest), -1
	for i := start; i < len(source); i++ {
		switch {
		case strings.HasPrefix(source[i:], "${"):
			closing := strings.IndexByte(source[i:], '}')
			if closing < 0 {
				return -1, -1
			}
			i += closing
		case source[i] == '@':
			end = i
		case strings.IndexByte("/?#", source[i]) >= 0:
			i = len(source)
		}
	}
	if end < 0 {
		return -1, -1
	}
	return start, end
}

// SecretAt tells whether the value of a name at a place is secret, such as that of a
// header; in a query more names are.
func SecretAt(place, name string) bool {
	if place == "query" {
		return handlers.SecretParameter(name)
	}
	return handlers.SecretName(name)
}

// ShownAt is the source of the template of a name at a place, or Redacted where the
// name tells that it is a secret and the source holds it.
func ShownAt(place, name, source string) string {
	if SecretAt(place, name) && !safeHeader.MatchString(source) {
		return Redacted
	}
	return source
}

// ShownExpression is an expression of a name, such as that of a header, or one that is
// Redacted where the name tells that it makes a secret and the secret stands in it.
func ShownExpression(name string, x handlers.Expression) handlers.Expression {
	if handlers.SecretName(name) && len(expression.Written(x.Source)) > 0 {
		x.Source = redactedExpression
	}
	return x
}

var fileCall = regexp.MustCompile(`\bfile\(\s*(?:"([^"\\]+)"|'([^'\\]+)')\s*\)`)

// rebased makes the relative paths of file("…") in a source relative to what dir
// is relative to. In a template only what is within ${} is looked at.
func rebased(source, dir string, template bool) string {
	if dir == "." || dir == "" || !strings.Contains(source, "file(") {
		return source
	}
	return fileCall.ReplaceAllStringFunc(source, func(call string) string {
		m := fileCall.FindStringSubmatch(call)
		name := m[1] + m[2]
		if filepath.IsAbs(name) || template && !withinBraces(source, call) {
			return call
		}
		return strings.Replace(call, name, filepath.ToSlash(filepath.Join(dir, name)), 1)
	})
}

// withinBraces tells whether the first occurrence of part stands in ${}.
func withinBraces(source, part string) bool {
	before := source[:strings.Index(source, part)]
	return strings.LastIndex(before, "${") > strings.LastIndex(before, "}")
}
