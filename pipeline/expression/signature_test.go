package expression

import "testing"

// TestEveryFunctionHasASignature: what can be called is known to the check of
// types, and nothing else.
func TestEveryFunctionHasASignature(t *testing.T) {
	sameNames(t, "signatures", builtins, signatures)
	sameNames(t, "predicateResults", predicateNames, predicateResults)
	sameNames(t, "methodResults", methods, methodResults)
	for name, m := range methods {
		if _, takes := methodTakes[name]; takes != (m.args > 0) {
			t.Errorf("methodTakes of %s, which has %d arguments: %v", name, m.args, takes)
		}
	}
	for name, s := range signatures {
		if len(s.takes) == 0 || s.is == nil {
			t.Errorf("the signature of %s is not complete", name)
		}
	}
}

func sameNames[A, B any](t *testing.T, table string, all map[string]A, known map[string]B) {
	t.Helper()
	for name := range all {
		if _, ok := known[name]; !ok {
			t.Errorf("%s lacks %s", table, name)
		}
	}
	for name := range known {
		if _, ok := all[name]; !ok {
			t.Errorf("%s has %s, which does not exist", table, name)
		}
	}
}
