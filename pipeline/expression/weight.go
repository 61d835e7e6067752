package expression

import "github.com/expr-lang/expr/ast"

// weight is what running a part of a program costs whatever the record is.
type weight struct{ steps, bytes int }

// weigh is the weight of a rewritten node and of all below it, conditions taken as
// if both ways were gone. Of a loop it is what stands before the body: that is
// charged when the list is there.
func (c *compilation) weigh(n ast.Node) weight {
	w := weight{steps: stepsOfNode}
	var kids []ast.Node
	switch n := n.(type) {
	case *ast.CallNode:
		w.steps, w.bytes, kids = stepsOfCall, bytesOfCall, n.Arguments
	case *ast.BuiltinNode:
		w.steps, kids = stepsOfCall, append([]ast.Node{n.Arguments[0]}, n.Arguments[2:]...)
	case *ast.UnaryNode:
		kids = []ast.Node{n.Node}
	case *ast.BinaryNode:
		kids = []ast.Node{n.Left, n.Right}
	case *ast.ConditionalNode:
		kids = []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.VariableDeclaratorNode:
		kids = []ast.Node{n.Value, n.Expr}
	case *ast.SequenceNode:
		kids = n.Nodes
	case *ast.ArrayNode:
		w = weight{steps: stepsOfCall + stepsOfItem*len(n.Nodes), bytes: bytesOfItem * (1 + len(n.Nodes))}
		kids = n.Nodes
	case *ast.MapNode:
		w = weight{steps: stepsOfCall + stepsOfEntry*len(n.Pairs), bytes: sizeOfObject(len(n.Pairs))}
		kids = n.Pairs
	case *ast.PairNode:
		kids = []ast.Node{n.Key, n.Value}
	case *ast.ConstantNode:
		if name, ok := n.Value.(string); ok { // it may be a key
			w.steps += len(name) / scannedAStep
		}
	}
	for _, kid := range kids {
		more := c.weigh(kid)
		w.steps += more.steps
		w.bytes += more.bytes
	}
	return w
}
