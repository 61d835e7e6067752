package http

import (
	"fmt"
	"maps"
	nethttp "net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/handlers"
)

// isOwnHeader names what the sink or the protocol sets.
func isOwnHeader(canonical string) bool {
	switch canonical {
	case idempotencyKey, "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive",
		"Proxy-Connection", "Te", "Trailer", "Upgrade", "Expect":
		return true
	}
	return false
}

// isFixedHeader names what decides whom a request reaches and as whom: a record
// must not.
func isFixedHeader(canonical string) bool {
	switch canonical {
	case "Host", "Authorization", "Proxy-Authorization", "Cookie":
		return true
	}
	return false
}

// Check finds what the types alone do not tell.
func (c *Config) Check() []handlers.Issue {
	issues := c.checkURL()
	add := func(field, hint, format string, args ...any) {
		issues = append(issues, handlers.Issue{Field: field, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	if !isToken(c.Method) {
		add("method", "write POST, PUT, PATCH, DELETE or GET", "%q is not a method", c.Method)
	} else if c.Method != strings.ToUpper(c.Method) {
		add("method", "write "+strings.ToUpper(c.Method), "methods are written in capital letters")
	}
	if !c.Body.IsZero() && (c.Method == nethttp.MethodGet || c.Method == nethttp.MethodHead) {
		issues = append(issues, handlers.Issue{Field: "body", Warning: true,
			Message: "many receivers drop or refuse the body of a " + c.Method, Hint: "send it with POST"})
	}
	if scheme, _, ok := strings.Cut(c.URL.Prefix, "://"); ok && c.TLS != nil && strings.EqualFold(scheme, "http") {
		issues = append(issues, handlers.Issue{Field: "tls", Warning: true,
			Message: "tls has no effect: the URL begins with " + scheme + "://", Hint: "write https://"})
	}
	if c.Timeout <= 0 {
		add("timeout", "write 5s", "the timeout must be more than nothing")
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		field, canonical := "headers."+name, nethttp.CanonicalHeaderKey(name)
		switch {
		case !isToken(name):
			add(field, "use letters, digits and -", "%q is not a header's name", name)
		case isOwnHeader(canonical):
			add(field, "remove it", "%s is set by the sink itself", canonical)
		case isFixedHeader(canonical) && !c.Headers[name].Constant:
			add(field, `use a fixed value, ${env.NAME} or ${file("path")}`, "%s must not depend on the record",
				canonical)
		case seen[canonical] != "":
			add(field, "remove one of the two", "%q is the same header as %q", name, seen[canonical])
		}
		seen[canonical] = name
	}
	if what := c.inTheOpen(); what != "" {
		issues = append(issues, handlers.Issue{Field: "url", Warning: true, Cleartext: true,
			Message: what + " travels unencrypted over http:// to another machine", Hint: "write https://"})
	}
	if _, err := parseHosts(c.AllowedHosts); err != nil {
		add("allowed_hosts", "write names, *.domains, addresses, or networks such as 10.0.0.0/8", "%v", err)
	}
	return issues
}

// inTheOpen names a secret that goes to another machine without TLS, empty for none.
func (c *Config) inTheOpen() string {
	scheme, rest, _ := strings.Cut(c.URL.Prefix, "://")
	if !strings.EqualFold(scheme, "http") || !c.URL.Constant && authorityEnd(c.URL.Prefix) < 0 {
		return ""
	}
	host := rest
	if end := strings.IndexAny(rest, `/?#\`); end >= 0 {
		host = rest[:end]
	}
	u, err := url.Parse("http://" + host)
	if err != nil || isThisMachine(u.Hostname()) {
		return ""
	}
	if u.User != nil {
		return "the URL's user and password"
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if handlers.SecretName(name) || c.Headers[name].Secret {
			return "the header " + name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Query)) {
		if handlers.SecretParameter(name) || c.Query[name].Secret {
			return "the query parameter " + name
		}
	}
	if c.Body.Secret {
		return "a secret in the body"
	}
	return ""
}

func isThisMachine(host string) bool {
	name := normalHost(host)
	address, err := netip.ParseAddr(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && address.IsLoopback()
}

// BodyType is the Content-Type under headers, where it is the same for every
// record.
func (c *Config) BodyType() string {
	for name, value := range c.Headers {
		if nethttp.CanonicalHeaderKey(name) == "Content-Type" && value.Constant {
			return value.Prefix
		}
	}
	return ""
}

func (c *Config) checkURL() []handlers.Issue {
	issue := func(hint, format string, args ...any) []handlers.Issue {
		return []handlers.Issue{{Field: "url", Message: fmt.Sprintf(format, args...), Hint: hint}}
	}
	const hint = "write http://host/path or https://host/path"
	const dots, dotsHint = "the path has a part that is . or ..", "write the path without . and .."
	// shown is what a message may show of the URL.
	shown := func(text string) string {
		if c.URL.Secret {
			return "that it renders to"
		}
		return text
	}
	prefix := c.URL.Prefix
	fixed := c.URL.Constant || authorityEnd(prefix) >= 0
	switch {
	case !fixed && len(c.AllowedHosts) == 0:
		return issue("write the host out, or list the hosts under allowed_hosts", "the host depends on the record")
	case !fixed:
		if scheme, _, ok := strings.Cut(prefix, "://"); ok && !isWeb(scheme) {
			return issue(hint, "the scheme %q is neither http nor https", shown(scheme))
		}
		if hasDots(pathOf(c.URL.Sample)) {
			return issue(dotsHint, dots)
		}
		return nil
	}
	if end := authorityEnd(prefix); end >= 0 && !c.URL.Constant {
		// What follows may end anywhere, even inside of an escape.
		prefix = prefix[:end]
	}
	u, err := url.Parse(prefix)
	switch {
	case err != nil:
		return issue(hint, "this is not a URL")
	case u.Scheme == "":
		return issue(hint, "the URL has no http:// or https://")
	case !isWeb(u.Scheme):
		return issue(hint, "the scheme %q is neither http nor https", shown(u.Scheme))
	case u.Hostname() == "":
		return issue(hint, "the URL names no host")
	case !isPort(u.Port()):
		return issue("a port is a number up to 65535", "the URL's port %s is none", shown(u.Port()))
	case isMetadataHost(u.Hostname()):
		return issue("", "%s is an address of machine metadata, which is always denied", shown(u.Hostname()))
	case hasDots(pathOf(c.URL.Sample)):
		return issue(dotsHint, dots)
	case hasFragment(c.URL.Source):
		return []handlers.Issue{{Field: "url", Warning: true, Message: "what follows # in a URL is never sent",
			Hint: "remove it, or write %23 for the character itself"}}
	}
	return nil
}

// hasFragment tells whether a template has a # outside of its parts.
func hasFragment(source string) bool {
	depth := 0
	for i := range len(source) {
		switch c := source[i]; {
		case c == '{' && i > 0 && source[i-1] == '$' && depth == 0, c == '{' && depth > 0:
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == '#' && depth == 0:
			return true
		}
	}
	return false
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

func isWeb(scheme string) bool {
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}

// authorityEnd is where scheme and host end in prefix, -1 if they may go on.
func authorityEnd(prefix string) int {
	_, rest, ok := strings.Cut(prefix, "://")
	if !ok {
		return -1
	}
	end := strings.IndexAny(rest, `/?#\`)
	if end < 0 {
		return -1
	}
	return len(prefix) - len(rest) + end
}

// hostWritten tells whether the host, without its port, stands in the configuration,
// whatever else of scheme and port comes from the record.
func hostWritten(url handlers.Template) bool {
	_, authority, ok := strings.Cut(url.Prefix, "://")
	if !ok {
		if _, authority, ok = strings.Cut(url.Source, "}://"); !ok {
			return false
		}
	}
	end := strings.IndexAny(authority, `/?#\`)
	if end >= 0 {
		authority = authority[:end]
	}
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	colon := strings.LastIndexByte(host, ':')
	if colon > strings.LastIndexByte(host, ']') {
		host = host[:colon]
	} else if end < 0 {
		return false // it goes on
	}
	return host != "" && !strings.Contains(host, "${")
}

// pathOf is the decoded path of a URL's text, as far as it can be decoded.
func pathOf(text string) string {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	text, _, _ = strings.Cut(text, "#")
	text, _, _ = strings.Cut(text, "?")
	_, path, _ := strings.Cut(text, "/")
	if decoded, err := url.PathUnescape(path); err == nil {
		return decoded
	}
	return path
}

// hasDots tells whether a decoded path has a part that servers resolve.
func hasDots(path string) bool {
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

func isToken(s string) bool {
	for _, r := range s {
		if r > '~' || !strings.ContainsRune("!#$%&'*+-.^_`|~", r) && !isAlphanumeric(r) {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
