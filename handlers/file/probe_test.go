package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers/handlertest"
)

// A probe tells about a folder that is there, one that could be made and one
// that can't, and makes none.
func TestProbeMakesNothing(t *testing.T) {
	top := t.TempDir()
	if err := os.WriteFile(filepath.Join(top, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		top:                                "",
		filepath.Join(top, "a", "b", "c"):  "",
		filepath.Join(top, "plain"):        "is no folder",
		filepath.Join(top, "plain", "sub"): "not a directory",
	} {
		f := openSink(t, config(dir, handlertest.Constant("x")), realDisk())
		err := f.Probe(t.Context())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", dir, err, want)
		}
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	entries, err := os.ReadDir(top)
	if err != nil || len(entries) != 1 {
		t.Errorf("a probe made something: %v, %v", entries, err)
	}
}
