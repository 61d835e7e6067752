package pipeline

import (
	"net"
	"regexp"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

var (
	// cutScheme is a scheme with too few or too many signs behind it.
	cutScheme = regexp.MustCompile(`^(?i:(https?))(?:(?::/|//|:///+)([^/:].*)|:([^/:0-9].*))$`)
	urlScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:(//|[^0-9])`)
	hostLike  = regexp.MustCompile(`^(//)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:[0-9]+)?(/|\?|$|\$\{)`)
)

// schemeMissing reports a URL that begins with its host, or whose scheme is not
// written as one.
func (c *compiler) schemeMissing(f *File, path diag.Path, source string) bool {
	cut := cutScheme.FindStringSubmatch(source)
	if cut == nil && (strings.HasPrefix(source, "${") || urlScheme.MatchString(source) || !hostLike.MatchString(source)) {
		return false
	}
	rest := strings.TrimPrefix(source, "//")
	host, _, _ := strings.Cut(rest, "/")
	scheme := "https://"
	if isLocal(host) {
		scheme = "http://"
	}
	certain := isLocal(host)
	if cut != nil {
		certain, scheme, rest = true, strings.ToLower(cut[1])+"://", cut[2]+cut[3]
	}
	p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeHandler,
		Message: "the URL has no http:// or https://", Hint: "write " + scheme + rest}
	if certain {
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
