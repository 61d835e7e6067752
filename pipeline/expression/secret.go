package expression

import (
	"encoding/json"
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// reveals notes a secret that the expression reads.
func (c *compilation) reveals(text string) {
	c.secret = true
	c.revealed++
	c.tell(text)
}

// computed notes the value of a constant that was made of a secret. What merely
// chooses one of its parts makes nothing: those were noted by themselves.
func (c *compilation) computed(n ast.Node, v any) {
	switch n := n.(type) {
	case *ast.ConditionalNode, *ast.ChainNode, *ast.VariableDeclaratorNode, *ast.SequenceNode:
		return
	case *ast.BinaryNode:
		if n.Operator == "??" {
			return
		}
	}
	c.tellAll(v)
}

// minDigits is how long a number must be to be looked for in what is shown.
const minDigits = 6

// tellAll tells all texts and long numbers of a value. True and false tell
// nothing, also as text.
func (c *compilation) tellAll(v any) {
	switch v := v.(type) {
	case string:
		if v != "true" && v != "false" && v != "null" {
			c.tell(v)
		}
	case json.Number, int64, float64:
		if text := fmt.Sprint(v); len(text) >= minDigits {
			c.tell(text)
		}
	case []any:
		for _, item := range v {
			c.tellAll(item)
		}
	case map[string]any:
		for _, item := range v {
			c.tellAll(item)
		}
	}
}

func (c *compilation) tell(text string) {
	if told := c.scope.options.Constants.Secret; told != nil {
		told(text)
	}
}
