package pipeline

import (
	"net"
	"regexp"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

var (
	urlScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:(//|[^0-9])`)
	hostLike  = regexp.MustCompile(`^(//)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:[0-9]+)?(/|\?|$|\$\{)`)
)

// schemeMissing reports a URL that begins with its host.
func (c *compiler) schemeMissing(f *File, path diag.Path, source string) bool {
	if strings.HasPrefix(source, "${") || urlScheme.MatchString(source) || !hostLike.MatchString(source) {
		return false
	}
	rest := strings.TrimPrefix(source, "//")
	host, _, _ := strings.Cut(rest, "/")
	scheme := "https://"
	if isLocal(host) {
		scheme = "http://"
	}
	p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeHandler,
		Message: "the URL has no http:// or https://", Hint: "write " + scheme + rest}
	if isLocal(host) {
		p.Fix, p.FixAt = f.Source.Spell(path, scheme+rest)
	}
	if _, secret := f.secrets[path]; secret {
		p.Hint, p.Fix = "write http://host/path or https://host/path", ""
	}
	c.add(p)
	return true
}

// isLocal tells whether a host, maybe with a port, is one that rarely has a
// certificate: this machine, an address, or a name without a dot.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return net.ParseIP(strings.Trim(host, "[]")) != nil || !strings.Contains(host, ".")
}
