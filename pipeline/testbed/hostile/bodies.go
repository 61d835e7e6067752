package hostile

import "strings"

// RecursiveSchema is a condition as people write them: a kind by its name, which may
// hold conditions.
const RecursiveSchema = `{
	"type": "object", "properties": {"rule": {"$ref": "#/$defs/rule"}},
	"$defs": {"rule": {"oneOf": [
		{"properties": {"op": {"const": "and"}, "args": {"items": {"$ref": "#/$defs/rule"}}}},
		{"properties": {"op": {"const": "or"}, "args": {"items": {"$ref": "#/$defs/rule"}}}},
		{"properties": {"op": {"const": "eq"}, "args": {"items": {"type": "number"}}}}
	]}}
}`

// NestedRule is a body for RecursiveSchema, with another condition in its midst.
func NestedRule(depth int, end string) string {
	return `{"rule":` + strings.Repeat(`{"op":"and","args":[`, depth) + end + strings.Repeat("]}", depth) + "}"
}
