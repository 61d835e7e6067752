package state_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/pipeline/state"
)

// asChild names what the test binary does when a test starts it as a process of
// its own, on the folder in folderVar.
const (
	asChild   = "MILLRACE_TEST_CHILD"
	folderVar = "MILLRACE_TEST_FOLDER"
)

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

// child takes the broker's folder, announces itself, says so and waits to be
// killed.
func child() {
	folder, err := state.Open(os.Getenv(folderVar))
	if err != nil {
		panic(err)
	}
	if _, err := folder.Lock(state.Broker); err != nil {
		panic(err)
	}
	sockets, err := state.NewSocketFolder(filepath.Join(folder.Dir(), "s"))
	if err != nil {
		panic(err)
	}
	if _, err := folder.Announce(state.Run{Socket: sockets.Path(), Parts: []state.Part{state.Broker}}); err != nil {
		panic(err)
	}
	if err := os.WriteFile(sockets.Path(), nil, 0o600); err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("ready\n")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// startChild returns once the child holds the folder; kill ends it without any
// tidying up.
func startChild(t *testing.T, dir string) (pid int, kill func()) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "s"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"=1", folderVar+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dead := false
	kill = func() {
		if dead {
			return
		}
		dead = true
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = stdin.Close()
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	return cmd.Process.Pid, kill
}

func pidName() string { return strconv.Itoa(os.Getpid()) }
