package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// In a second terminal, without the variables and secrets of the running process
// and beside a half-edited file, all that only reads still works; what a command
// uses is still checked.
func TestReadingNeedsOnlyWhatItUses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const file = `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  a:
    source: {topic: in, instance: '${env.NOT_SET_POD}'}
    idempotency: {key: 'a:${payload.id}'}
    sinks: [{http: {url: 'https://x.example/${env.NOT_SET_TOKEN}/${payload.id}', headers: {Authorization: 'Bearer ${file("gone")}'}}}]
`
	const wrong = "  b: {source: {topic: in}, filter: payload.n >, sinks: [{stdout: {}}]}\n"
	for _, c := range []struct {
		name, file string
		args       []string
		code       int
		want       string
	}{
		{"publish", file, []string{"publish", "in", "--create", `{"id":1}`}, 0, "published 1 record"},
		{"tail", file + wrong, []string{"tail", "in", "--until-end"}, 0, `"payload":{"id":1}`},
		{"tail, half a file", file + "  b: {source: [\n", []string{"tail", "in", "--until-end"}, 0, `"payload":{"id":1}`},
		{"keys get", file + wrong, []string{"keys", "get", "a", "a:1"}, 0, "not there"},
		{"keys get, half a file", file + "  b: {source: [\n", []string{"keys", "get", "a", "a:1"}, 3, "never closed"},
		{"topics list", file + wrong, []string{"topics", "list"}, 0, "in  "},
		{"topics plan", file + wrong, []string{"topics", "plan"}, 0, "a.dead-letter"},
		{"dead-letter", file + wrong, []string{"dead-letter", "list", "a"}, 1, `"a.dead-letter" does not exist yet`},
		{"explain", file + wrong, []string{"explain", "--where", "true"}, 0, "left out, since the configuration has errors there: b"},
		{"explain of what is wrong", file + wrong, []string{"explain", "b", "--where", "true"}, 3, "the expression ends too early"},
		{"dry-run", file + wrong, []string{"dry-run", "a"}, 0, "https://x.example/[unset]/1"},
		{"dry-run says it once", file, []string{"dry-run"}, 0, "NOT_SET_TOKEN is not set"},
		{"dry-run of all", file + wrong, []string{"dry-run"}, 3, "the expression ends too early"},
		{"dry-run, the key's", strings.Replace(file, "a:$", "${env.NOT_SET}$", 1), []string{"dry-run"}, 3, "NOT_SET is not set"},
		{"eval", file + wrong, []string{"eval", "--pipeline", "a", "1 + 1"}, 0, "2"},
		{"the broker's", strings.Replace(file, "127.0.0.1:0", "'${env.NOT_SET}'", 1), []string{"tail", "in", "--until-end"}, 3, "NOT_SET is not set"},
		{"run", file, []string{"run"}, 3, "NOT_SET_TOKEN is not set"},
	} {
		write(t, dir, "pipelines.yaml", c.file)
		code, out, errs := millrace(t, dir, c.args...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: code %d, lacks %q:\n%s%s", c.name, code, c.want, out, errs)
		}
		if c.code == 0 && strings.Count(errs, "\n") > 3 {
			t.Errorf("%s says much beside:\n%s", c.name, errs)
		}
	}
}

// A file that can be read only once, as <(…) gives it, is read once, and its
// state lies where the command runs.
func TestFileThatIsAPipe(t *testing.T) {
	t.Parallel()
	const file = "pipelines: {p: {source: {topic: t}, sinks: [{stdout: {}}]}}\n" +
		"tests: [{name: n, pipeline: p, records: [{payload: {}}], expect: [delivered]}]\n"
	for _, c := range []struct{ args, want string }{
		{"test", "passed: 1 test"}, {"validate", "valid: 1 pipeline"}, {"config", "topic: t"}, {"publish t --create x", "published 1 record"},
	} {
		dir := t.TempDir()
		write(t, dir, "p.yaml", file)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(file); err != nil {
			t.Fatal(err)
		}
		w.Close()
		cmd := exec.Command(os.Args[0], append(strings.Fields(c.args), "-f", "/dev/fd/3")...)
		cmd.Dir, cmd.ExtraFiles, cmd.Env = dir, []*os.File{r}, append(os.Environ(), childEnv+"=1")
		out, err := cmd.CombinedOutput()
		r.Close()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v\n%s", c.args, err, out)
		}
		if _, err := os.Stat(filepath.Join(dir, ".millrace")); (err == nil) != strings.HasPrefix(c.args, "publish") {
			t.Errorf("%s: the state folder: %v", c.args, err)
		}
	}
}
