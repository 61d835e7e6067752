package diag

import "gopkg.in/yaml.v3"

// Node is the value at path as the file has it, an alias followed to what it
// stands for; nil where the file has none. It must not be changed.
func (s *Source) Node(path Path) *yaml.Node {
	n := s.values[path].value
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
