package cmd

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestCommandsSayThatNoBrokerAnswers runs every command that talks to brokers with
// none there, and once with one that takes connections and says nothing.
func TestCommandsSayThatNoBrokerAnswers(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	config := `
kafka: {brokers: ['%s']}
pipelines: {p: {source: {topic: t}, sinks: [{stdout: {}}]}}
`
	gone, hung := t.TempDir(), t.TempDir()
	write(t, gone, "pipelines.yaml", fmt.Sprintf(config, fmt.Sprint("127.0.0.1:", freePort(t))))
	write(t, hung, "pipelines.yaml", fmt.Sprintf(config, silent.Addr()))
	for name, c := range map[string]struct {
		dir  string
		args []string
		want string
	}{
		"topics list": {gone, []string{"topics", "list"}, "connection refused"},
		"tail":        {gone, []string{"tail", "t"}, "connection refused"},
		"publish":     {gone, []string{"publish", "t", "x"}, "connection refused"},
		"explain":     {gone, []string{"explain", "--at", "t/0/0"}, "connection refused"},
		"dry-run":     {gone, []string{"dry-run", "-n", "5"}, "connection refused"},
		"silent":      {hung, []string{"topics", "plan"}, silent.Addr().String()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], c.args...)
			cmd.Dir, cmd.Env = c.dir, append(os.Environ(), childEnv+"=1")
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stderr).ReadString('\n')
			if err != nil || !strings.Contains(line, "no broker answers yet") || !strings.Contains(line, "still trying") || !strings.Contains(line, c.want) {
				t.Errorf("said %q (%v)", line, err)
			}
			if took := time.Since(began); took > clusterPatience-5*time.Second {
				t.Errorf("said so only after %s", took)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait()
		})
	}
}
