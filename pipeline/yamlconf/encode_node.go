package yamlconf

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// MapNode is an empty map.
func MapNode() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

// TextNode is a text. Where it is Redacted, or holds that, a comment says so.
func TextNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.Contains(text, "\n") {
		n.Style = yaml.LiteralStyle
	}
	if IsRedacted(text) {
		n.LineComment = "# redacted: the text stands in the file"
	}
	return n
}

// Put adds a key to a map.
func Put(to *yaml.Node, key string, value *yaml.Node) {
	to.Content = append(to.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
}

// Get is the value of a key of a map, nil where there is none.
func Get(from *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(from.Content); i += 2 {
		if from.Content[i].Value == key {
			return from.Content[i+1]
		}
	}
	return nil
}

// expanded is a copy without anchors, aliases, merges and comments.
func expanded(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style}
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			out.Content = append(out.Content, expanded(child))
		}
		return out
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, expanded(value))
			continue
		}
		out.Content = append(out.Content, expanded(key), expanded(value))
	}
	for _, m := range merged {
		maps := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			maps = m.Content
		}
		for _, from := range maps {
			for i := 0; i+1 < len(from.Content); i += 2 {
				if Get(out, from.Content[i].Value) == nil {
					out.Content = append(out.Content, from.Content[i], from.Content[i+1])
				}
			}
		}
	}
	return out
}

// AppendJSON appends a node as JSON, its keys in their order.
func AppendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendJSONValue(dst, n.Content[i].Value); err != nil {
				return nil, err
			}
			dst = append(dst, ':')
			if dst, err = AppendJSON(dst, n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, item := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = AppendJSON(dst, item); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	default:
		var value any
		if n.Tag == "!!str" || n.Tag == "!!timestamp" || n.Decode(&value) != nil {
			value = n.Value
		}
		return appendJSONValue(dst, value)
	}
}

func appendJSONValue(dst []byte, value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return append(dst, bytes.TrimRight(out.Bytes(), "\n")...), nil
}

// Integer is a whole number.
func Integer(n int64) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(n, 10)}
}
