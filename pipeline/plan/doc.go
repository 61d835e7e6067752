// Package plan is a configuration that was found to be right: compiled, with every default
// filled in, immutable, and without a trace of the YAML that it came from. It draws itself as a
// graph (graph.go), and knows which topics its records must not go to (topic_rules.go).
package plan
