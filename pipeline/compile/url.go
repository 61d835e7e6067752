package compile

import (
	"net"
	"regexp"
	"strings"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

var (
	urlScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:(//|[^0-9])`)
	hostLike  = regexp.MustCompile(`^(//)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:[0-9]+)?(/|\?|$|\$\{)`)
)

// cutScheme is one of the schemes with too few or too many signs behind it.
func cutScheme(schemes []string) *regexp.Regexp {
	return regexp.MustCompile(`^(?i:(` + strings.Join(schemes, "|") + `))(?:(?::/|//|:///+)([^/:].*)|:([^/:0-9].*))$`)
}

// each is a text behind each of the schemes.
func each(schemes []string, text string) string {
	return strings.Join(schemes, text+" or ") + text
}

// schemeMissing reports a URL that begins with its host, or whose scheme is not
// written as one, where the sink tells which schemes there are.
func (c *compiler) schemeMissing(f *config.File, t yamlconf.Text) bool {
	path, source := t.Path, t.Template.Source
	if len(t.Schemes) == 0 {
		return false
	}
	cut := cutScheme(t.Schemes).FindStringSubmatch(source)
	if cut == nil && (strings.HasPrefix(source, "${") || urlScheme.MatchString(source) ||
		!hostLike.MatchString(source)) {
		return false
	}
	rest := strings.TrimPrefix(source, "//")
	host, _, _ := strings.Cut(rest, "/")
	scheme := t.Schemes[len(t.Schemes)-1] + "://"
	if isLocal(host) {
		scheme = t.Schemes[0] + "://"
	}
	certain := isLocal(host)
	if cut != nil {
		certain, scheme, rest = true, strings.ToLower(cut[1])+"://", cut[2]+cut[3]
	}
	p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeHandler,
		Message: "the URL has no " + each(t.Schemes, "://"), Hint: "write " + scheme + rest}
	if certain {
		p.Fix, p.FixAt = f.Source.Spell(path, scheme+rest)
	}
	if _, secret := f.Secrets[path]; secret {
		p.Hint, p.Fix = "write "+each(t.Schemes, "://host/path"), ""
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
