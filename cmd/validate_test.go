package cmd

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// broken has four certain mends, of which two can be seen only after the others,
// and nothing else wrong.
const (
	broken = "drain: 20 # why\nkafka:\n  brokers: [localhost:9092]\n  sasl: {mechanism: plain, username: a, password: hunter22}\n" +
		"idempotency: {store: redis://localhost:6379/0}\npipelines:\n  vip: # café\n    sorce: {topic: orders, format: jsn}\n" +
		"    sinks:\n      - kafka: {topic: vip_${payload.country}}\n"
	whole = "drain: 20s # why\nkafka:\n  brokers: [localhost:9092]\n  sasl: {mechanism: plain, username: a, password: hunter22}\n" +
		"idempotency: {store: redis://localhost:6379/0}\npipelines:\n  vip: # café\n    source: {topic: orders, format: json}\n" +
		"    sinks:\n      - kafka: {topic: 'vip_${payload.country}'}\n"
)

// command runs one command line within this process.
func command(t *testing.T, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, io.Reader(strings.NewReader(in)), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func sameFile(t *testing.T, name, want string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestValidateFixShowsAndWrites(t *testing.T) {
	t.Chdir(t.TempDir())
	windows := func(s string) string { return "\xef\xbb\xbf" + strings.ReplaceAll(s, "\n", "\r\n") }
	writeFile(t, "real.yaml", windows(broken))
	if err := os.Chmod("real.yaml", 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real.yaml", "pipelines.yaml"); err != nil {
		t.Fatal(err)
	}
	code, out, errs := command(t, "", "validate", "--fix")
	if code != exitInvalid || !strings.Contains(out, "+    source: {topic: orders, format: json}") || !strings.Contains(errs, "4 problems would be mended: 0 problems left") {
		t.Errorf("exit code %d:\n%s%s", code, out, errs)
	}
	if strings.Contains(out, "hunter22") {
		t.Errorf("the diff shows a secret:\n%s", out)
	}
	sameFile(t, "real.yaml", windows(broken))
	if code, _, errs := command(t, "", "validate", "--fix", "--yes"); code != exitDone || !strings.Contains(errs, "4 problems mended") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	sameFile(t, "real.yaml", windows(whole))
	info, err := os.Lstat("real.yaml")
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if link, err := os.Readlink("pipelines.yaml"); err != nil || link != "real.yaml" {
		t.Errorf("the link leads to %q, %v", link, err)
	}
	if left, err := filepath.Glob(".*"); err != nil || len(left) > 0 {
		t.Errorf("files are left behind: %v, %v", left, err)
	}
	if code, out, _ := command(t, "", "validate", "--fix", "--yes"); code != exitDone || out != "" {
		t.Errorf("nothing to mend: exit code %d, %q", code, out)
	}
}

func TestValidateFixLeavesWhatIsNotCertain(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "pipelines.yaml", broken+"  other: {}\n")
	code, _, errs := command(t, "", "validate", "--fix", "--yes")
	if code != exitInvalid || !strings.Contains(errs, "source is missing") || !strings.Contains(errs, "4 problems mended: 2 problems left") {
		t.Errorf("exit code %d:\n%s", code, errs)
	}
	sameFile(t, "pipelines.yaml", whole+"  other: {}\n")
}

func TestValidateFixOfStandardInput(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, errs := command(t, broken, "validate", "--fix", "-f", "-")
	if diff := cmp.Diff(whole, out); code != exitDone || diff != "" {
		t.Errorf("exit code %d, %s\n%s", code, errs, diff)
	}
	if code, _, errs := command(t, broken, "validate", "--fix", "-f", "-", "-f", "a.yaml"); code != exitUsage {
		t.Errorf("with a further file: exit code %d, %s", code, errs)
	}
}

func TestValidateMarkdown(t *testing.T) {
	t.Chdir(t.TempDir())
	markdown := func(config string) string {
		return "# A page\n\n```yaml\n" + config + "```\n\nNot ours: `drain: 20`\n\n```yaml\nversion: '3'\nservices: {}\n```\n\n- a list\n\n" +
			"  ```yaml millrace\n  drain: 5s\n  ```\n\n```yaml ignore\npipelines: 1\n```\n"
	}
	writeFile(t, "page.md", markdown(broken))
	code, out, _ := command(t, "", "validate", "-f", "page.md")
	if code != exitInvalid || !strings.Contains(out, "page.md:13:28: inside of brackets") || strings.Contains(out, "services") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if code, _, errs := command(t, "", "validate", "-f", "page.md", "--fix", "--yes"); code != exitDone {
		t.Errorf("exit code %d: %s", code, errs)
	}
	sameFile(t, "page.md", markdown(whole))
	writeFile(t, "page.md", strings.Replace(markdown(whole), "  drain: 5s", "  drian: 5s", 1))
	if _, out, _ := command(t, "", "validate", "-f", "page.md"); !strings.Contains(out, `page.md:26:3: unknown key "drian"`) {
		t.Errorf("the marked block: %s", out)
	}
	writeFile(t, "none.md", "# Nothing\n")
	if code, out, _ := command(t, "", "validate", "-f", "none.md"); code != exitDone || !strings.Contains(out, "nothing was checked") {
		t.Errorf("no block: exit code %d, %s", code, out)
	}
	if code, out, errs := command(t, "", "run", "-f", "none.md"); code != exitInvalid {
		t.Errorf("another command took a Markdown file: %s%s", out, errs)
	}
}

func TestValidateExplains(t *testing.T) {
	if code, out, _ := command(t, "", "validate", "--explain", "mr004"); code != exitDone || !strings.HasPrefix(out, "MR004: An unknown key\n") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, _, errs := command(t, "", "validate", "--explain", "MR999"); code != exitUsage || !strings.Contains(errs, `no code "MR999"`) {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestWrongFlagsOfValidate(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "pipelines.yaml", whole)
	writeFile(t, "a.env", "A=1\nhunter22\n\nB C=2\n")
	for want, args := range map[string][]string{
		"--log-level takes":              {"--log-level", "foo"},
		"--log-format takes":             {"--log-format", "xml"},
		"--format takes":                 {"--format", "xml"},
		"--env-file: open none.env":      {"--env-file", "none.env"},
		"a.env:2: a line is NAME=value":  {"--env-file", "a.env"},
		`a.env:4: "B C" is no name`:      {"--env-file", "a.env"},
		"--fix shows a diff":             {"--fix", "--format", "json"},
		"--yes answers what --fix asks":  {"--yes"},
		"it takes no arguments, and was": {"pipelines.yaml"},
	} {
		code, out, errs := command(t, "", append([]string{"validate"}, args...)...)
		if code != exitUsage || !strings.Contains(errs, want) || out != "" || strings.Contains(errs, "hunter22") {
			t.Errorf("%v: exit code %d, %s%s", args, code, out, errs)
		}
	}
}
