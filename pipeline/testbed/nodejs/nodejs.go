//go:build unix

package nodejs

import (
	"context"
	_ "embed" // for what is fetched
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/pipeline/testbed/process"
)

//go:embed package.json
var nodePackages string

// Fetch returns the folder below which node_modules has the packages that
// tests run with Node.js, in the user's cache folder, and fetches them with npm
// if they are not there. Several processes may call it at once: one fetches, the
// others wait.
func Fetch(ctx context.Context) (string, error) {
	return process.FetchOnce(ctx, "nodejs", nodePackages, func(ctx context.Context, dir string) error {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(nodePackages), 0o600); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
			"--loglevel=error")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("npm: %w\n%s", err, process.LastLines(out, 20))
		}
		return nil
	})
}

// Need returns a command that runs a script, such as one below node_modules,
// in the folder of Fetch, or fails the test.
func Need(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", args...)
	cmd.Dir = dir
	return cmd
}
