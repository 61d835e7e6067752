package expression

import (
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the examples of the functions yield")

// functionRow is a line of the page: a call, what it is, an example, what it yields.
var functionRow = regexp.MustCompile("(?m)^\\| `(\\w+)\\([^|]*` \\|[^|]*\\| `(.*)` \\| `(.*)` \\|$")

// TestFunctionsPage runs each example of the page, which has every function there is
// and no other.
func TestFunctionsPage(t *testing.T) {
	const name = "../../docs/functions.md"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, record, _ := strings.Cut(string(page), "```json\n")
	record, _, _ = strings.Cut(record, "```")
	text, documented := string(page), map[string]bool{}
	for _, row := range functionRow.FindAllStringSubmatch(text, -1) {
		documented[row[1]] = true
		t.Run(row[2], func(t *testing.T) {
			if !strings.Contains(row[2], row[1]+"(") {
				t.Fatalf("this is no example of %s", row[1])
			}
			s := NewScope(Options{})
			e, found := s.Expression("toJSON(" + row[2] + ")")
			if found != nil {
				t.Fatalf("%+v", found)
			}
			got, err := e.Value(one{value: record}.input(t, s))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				text = strings.Replace(text, row[0], strings.TrimSuffix(row[0], row[3]+"` |")+got.(string)+"` |", 1)
			} else if got != row[3] {
				t.Errorf("yields %s, not %s", got, row[3])
			}
		})
	}
	if *update {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all := slices.Concat(slices.Collect(maps.Keys(builtins)), slices.Collect(maps.Keys(predicateNames)), slices.Collect(maps.Keys(methods)))
	for _, name := range all {
		if !documented[name] {
			t.Errorf("the page lacks %s", name)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("the page has %s, which does not exist", name)
	}
}
