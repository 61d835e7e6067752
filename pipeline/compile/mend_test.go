package compile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
)

// TestMend mends what is certain, also where that is seen only after another
// mend, and leaves what would be wrong in another way.
func TestMend(t *testing.T) {
	const rest = "\n    sinks: [{stdout: {}}]\n"
	const head = "pipelines:\n  vip:\n    source: {topic: orders}\n    "
	tests := []struct {
		name, text, want string
		count            int
	}{
		{"two in one expression", "filter: payload.a = 1 AND payload.b", "filter: payload.a == 1 and payload.b", 1},
		{"comments stay", "retry: {attempts: 5.0} # five", "retry: {attempts: 5} # five", 1},
		{"a key that is there already", "concurrency: {lanes: 8, lane: 4}", "concurrency: {lanes: 8, lane: 4}", 0},
		{"what would be no expression", "filter: !important payload.a", "filter: !important payload.a", 0},
		{"backticks", "filter: `payload.a`", "filter: `payload.a`", 0},
		{"a block of lines", "filter: |-\n      payload.a == 1 &&\n      paylod.b == 2", "filter: |-\n      payload.a == 1 &&\n      payload.b == 2", 1},
		{"syntax first", "rate_limit 5/sec", "rate_limit: 5/s", 2},
		{"nothing wrong", "filter: payload.a", "filter: payload.a", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			options := config.Options{Texts: map[string][]byte{"a.yaml": []byte(head + tt.text + rest)}}
			mended, err := compile.Mend([]string{"a.yaml"}, options, builtin.Registry())
			if err != nil {
				t.Fatal(err)
			}
			got := head + tt.text + rest
			for _, c := range mended.Changes {
				got = string(c.After)
				if !strings.Contains(string(c.Diff), "@@") {
					t.Errorf("the diff is %q", c.Diff)
				}
			}
			if diff := cmp.Diff(head+tt.want+rest, got); diff != "" || mended.Count != tt.count {
				t.Errorf("%d mends (-want +got):\n%s", mended.Count, diff)
			}
		})
	}
}
