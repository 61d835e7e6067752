package yamlconf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

var (
	jsonNumber  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	looseNumber = regexp.MustCompile(`^([+-]?)([0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?$`)
	oldOctal    = regexp.MustCompile(`^[+-]?0[0-9_]+$`)
)

// JSON is a value as JSON text, with its keys in the order of the file: for data
// that stands in a configuration, of which no part is a template. Numbers keep
// their digits where JSON can write them so. It reports what JSON has no form
// for, and returns false.
func (d *Decoder) JSON(n Node) ([]byte, bool) {
	before := len(d.problems)
	text := d.appendJSON(nil, n)
	return text, len(d.problems) == before
}

func (d *Decoder) appendJSON(dst []byte, n Node) []byte {
	switch {
	case d.hasTag(n):
		d.tagProblem(n)
		return dst
	case n.IsNull():
		return append(dst, "null"...)
	case n.IsMap():
		dst = append(dst, '{')
		for i, f := range d.Fields(n) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(dst, JSONText(f.Name)...), ':')
			dst = d.appendJSON(dst, f.Node)
		}
		return append(dst, '}')
	case n.IsList():
		dst = append(dst, '[')
		for i, item := range d.Items(n) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = d.appendJSON(dst, item)
		}
		return append(dst, ']')
	}
	return append(dst, d.scalarJSON(n)...)
}

// scalarJSON is text, a number or a boolean.
func (d *Decoder) scalarJSON(n Node) string {
	v := n.target()
	switch v.Tag {
	case "!!bool":
		return strings.ToLower(v.Value)
	case "!!int", "!!float":
		text, why := numberJSON(v.Value)
		if why != "" {
			d.AtValue(n, diag.CodeMalformed, fmt.Sprintf("%s: %s", name(n.Path), why),
				"put text in quotes, or write the number in another way")
		}
		return text
	default:
		return JSONText(v.Value)
	}
}

// numberJSON is a number of YAML as JSON writes it, or why that can't be.
func numberJSON(text string) (number, why string) {
	switch {
	case jsonNumber.MatchString(text):
		return text, ""
	case oldOctal.MatchString(text):
		return "", fmt.Sprintf("YAML may read %s as an octal number", clip(text))
	}
	plain := strings.ReplaceAll(text, "_", "")
	if m := looseNumber.FindStringSubmatch(plain); m != nil && strings.ContainsAny(m[2]+m[3], "0123456789") {
		whole, fraction := strings.TrimLeft(m[2], "0"), strings.TrimSuffix(m[3], ".")
		if whole == "" {
			whole = "0"
		}
		return strings.TrimPrefix(m[1], "+") + whole + fraction + m[4], ""
	}
	if whole, ok := new(big.Int).SetString(strings.TrimPrefix(plain, "+"), 0); ok {
		return whole.String(), ""
	}
	return "", fmt.Sprintf("JSON has no number %s", clip(text))
}

// JSONText is text in the quotes of JSON, without escapes that it does not need.
func JSONText(text string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	// Neither a string nor a Buffer can make Encode fail.
	_ = e.Encode(text)
	return strings.TrimSuffix(out.String(), "\n")
}
