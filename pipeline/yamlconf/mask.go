package yamlconf

import (
	"bytes"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
)

var (
	urlKey = regexp.MustCompile(`(?i)ur[il]|store|addr|server|broker|endpoint`)
	// withSlashes is a user and password wherever they stand, bareUser one that
	// stands where a URL is expected.
	withSlashes = regexp.MustCompile(`//((?:\$\{[^}]*\}|[^/?#\s"'])+)@`)
	bareUser    = regexp.MustCompile(`((?:\$\{[^}]*\}|[^/?#\s"'])+)@`)
	headerName  = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	braced      = regexp.MustCompile(`\$\{[^}]*\}?`)
	quotedText  = regexp.MustCompile(`(\bfile\(\s*)?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')`)
	authScheme  = regexp.MustCompile(`^(?i:bearer|basic|digest|token|api-?key|negotiate|hawk|signature|key) +`)
)

// MaskSecrets keeps out of every excerpt what is secret by its name or its form,
// whether or not it stands where it belongs.
func (doc *Document) MaskSecrets() {
	masker{doc.Source}.node(doc.root, spot{})
	at := 0
	for line := range bytes.Lines(doc.Source.Text()) {
		if bytes.IndexByte(line, '#') >= 0 {
			maskComment(doc.Source, doc.vocabulary, strings.TrimRight(string(line), "\r\n"), at)
		}
		at += len(line)
	}
}

// masker keeps out of excerpts what is secret by its name or its form, whether
// or not it is well placed and well formed: what is wrong is shown too.
type masker struct{ source *diag.Source }

// spot is where the masker is: whose value it looks at.
type spot struct {
	key string
	// names tells that keys name headers or query parameters, data that they are
	// a user's own, content that they are those of a payload, and expression that
	// values are expressions.
	names, data, content, expression bool
}

func (m masker) node(n *yaml.Node, in spot) {
	if n == nil {
		return
	}
	switch n.Kind {
	case yaml.ScalarNode:
		m.urls(n, urlKey.MatchString(in.key))
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			m.entry(n.Content[i], n.Content[i+1], in)
		}
	default:
		for _, child := range n.Content {
			m.node(child, in)
		}
	}
}

func (m masker) entry(name, value *yaml.Node, in spot) {
	key := name.Value
	if in.names && value.Tag == "!!null" && value.Value == "" {
		m.keyAlone(name)
	}
	inner := spot{key: key, content: in.content || key == "payload" || in.data && (key == "body" || key == "value"),
		expression: in.expression || key == "transform"}
	inner.data = in.data || inner.content || inner.expression || key == "tests"
	inner.names = !inner.content && (key == "headers" || key == "query" ||
		diag.Nearest(key, []string{"headers", "query"}) != "")
	secret := secretKey(key) || in.names && near(in.key, "query") && handlers.SecretParameter(key) ||
		in.names && !headerName.MatchString(key)
	switch {
	case secret && (in.names || in.key == "transform") && in.expression,
		inner.names && inner.expression && value.Kind == yaml.ScalarNode:
		m.written(value)
		return
	case secret && (in.names || !in.data && ofScalars(value)),
		inner.names && inner.data && value.Kind == yaml.ScalarNode:
		m.all(value)
		return
	}
	m.node(value, inner)
}

// keyAlone hides what is, or ends with, a value that YAML takes for a key, since its colon or
// the comma is at the wrong place.
func (m masker) keyAlone(key *yaml.Node) {
	from := strings.IndexAny(key.Value, " :") + 1
	if at, ok := m.source.ScalarNode(key); ok && from > 0 && strings.Contains(string(m.source.Written(at)), "\n") {
		from-- // what is said of the key is said at its first line
	}
	if from > 0 || !hasColon(m.source, key) {
		m.source.MaskPart(key, from, len(key.Value))
	}
}

// ofScalars tells that a value is not a block of settings, whose name may be a
// user's.
func ofScalars(n *yaml.Node) bool {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return false
			}
		}
		return true
	}
	return n.Kind != yaml.MappingNode
}

// all hides all literal text of a secret. What is a scheme, as in Bearer …, or
// within ${}, stays: mistakes there are to be seen. Text in quotes there may be the
// secret itself, such as a default, unless it names a file.
func (m masker) all(n *yaml.Node) {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		for _, child := range n.Content {
			m.all(child)
		}
		return
	}
	from := len(authScheme.FindString(n.Value))
	for _, at := range append(braced.FindAllStringIndex(n.Value, -1), []int{len(n.Value), len(n.Value)}) {
		m.source.MaskPart(n, from, at[0])
		from = at[1]
		for _, text := range quotedText.FindAllStringSubmatchIndex(n.Value[at[0]:at[1]], -1) {
			if text[2] < 0 { // not that of file(…)
				m.source.MaskPart(n, at[0]+text[0]+1, at[0]+text[1]-1)
			}
		}
	}
}

// written hides what may be a secret of an expression that makes one.
func (m masker) written(n *yaml.Node) {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	for _, child := range n.Content {
		m.written(child)
	}
	for _, part := range expression.Written(n.Value) {
		m.source.MaskPart(n, part[0], part[1])
	}
}

// urls hides what is secret by its form.
func (m masker) urls(n *yaml.Node, expected bool) {
	for _, part := range secretForms(n.Value, expected) {
		m.source.MaskPart(n, part[0], part[1])
	}
}

// secretForms are, of a text that may be a URL, whole or not, the user and password, query
// parameters that are secret, and tokens behind their scheme.
func secretForms(text string, isURL bool) (parts [][2]int) {
	users := withSlashes
	if isURL {
		users = bareUser
	}
	for _, at := range users.FindAllStringSubmatchIndex(text, -1) {
		if user := text[at[2]:at[3]]; !strings.Contains(user, "${") || !safeUser.MatchString(user) {
			parts = append(parts, [2]int{at[2], at[3]})
		}
	}
	for _, at := range schemeToken.FindAllStringSubmatchIndex(text, -1) {
		parts = append(parts, [2]int{at[2], at[3]})
	}
	for _, at := range queryPart.FindAllStringSubmatchIndex(text, -1) {
		if handlers.SecretParameter(text[at[4]:at[5]]) && !safeHeader.MatchString(text[at[6]:at[7]]) {
			parts = append(parts, [2]int{at[6], at[7]})
		}
	}
	return parts
}
