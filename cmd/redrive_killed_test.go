package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Killed in the middle, the same id goes on, with the totals of a job that nobody
// killed; what was delivered is not sent again, but for the calls that the kill cut off,
// which come with the same Idempotency-Key.
func TestRedriveIsKilled(t *testing.T) {
	t.Parallel()
	testRedriveIsKilled(t, bed{}, 1500)
}

func testRedriveIsKilled(t *testing.T, b bed, n int) {
	r := refusedOrders(t, b, n, "8d")
	if code := r.p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	r.m.set(true)
	begin := []string{"dead-letter", "redrive", r.name, "--yes", "--all", "--id", b.name("night"), "--rate", fmt.Sprint(n / 8)}
	for range 2 {
		before, _ := r.m.effects()
		job := launch(t, r.dir, begin...)
		job.await("some are sent", func() bool { paths, _ := r.m.effects(); return paths > before+n/4 })
		job.kill()
	}
	told(t, r.dir, 1, b.name("night")+", begun by", "dead-letter", "redrive", r.name, "--yes", "--all")
	told(t, r.dir, 2, "job "+b.name("night")+" is a redrive, not a replay", "replay", r.name, "--yes", "--id", b.name("night"), "--from", "earliest")
	s := r.job("", map[string]int64{"delivered": int64(n)}, "redrive", "--id", b.name("night"))
	if s.Records != n {
		t.Errorf("of %d letters", s.Records)
	}
	paths, calls := r.m.effects()
	if paths != n || calls > n+2*48 || len(r.m.strange) > 0 {
		t.Errorf("%d orders in %d calls; %v", paths, calls, r.m.strange)
	}
	t.Logf("%d calls were cut off and made again", calls-n)
	r.job("there is nothing to redrive", nil, "redrive", "--all")
}

// What fails again while a job is killed is neither lost nor counted twice.
func TestRedriveThatFailsIsKilled(t *testing.T) {
	t.Parallel()
	testRedriveThatFailsIsKilled(t, bed{}, 600)
}

func testRedriveThatFailsIsKilled(t *testing.T, b bed, n int) {
	r := refusedOrders(t, b, n, "8d")
	if code := r.p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	begin := []string{"dead-letter", "redrive", r.name, "--yes", "--all", "--id", b.name("night"), "--rate", fmt.Sprint(n / 3)}
	refused := func() (calls int) {
		r.m.mu.Lock()
		defer r.m.mu.Unlock()
		for _, each := range r.m.refused {
			calls += each
		}
		return calls
	}
	before := refused()
	job := launch(t, r.dir, begin...)
	job.await("some are sent", func() bool { return refused() > before+n/4 })
	job.kill()
	r.job("", map[string]int64{"dead_lettered": int64(n)}, "redrive", "--id", b.name("night"))
	r.open(n, n, 2, n)
	r.m.set(true)
	r.job("", map[string]int64{"delivered": int64(n)}, "redrive", "--all")
	r.effects(n, n)
}

// A discard that was killed goes on by the same command: its archive is written.
func TestDiscardIsKilled(t *testing.T) {
	t.Parallel()
	testDiscardIsKilled(t, bed{}, 4000)
}

func testDiscardIsKilled(t *testing.T, b bed, n int) {
	r := refusedOrders(t, b, n, "8d")
	if code := r.p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	args := []string{"--all", "--id", b.name("bin"), "--archive", filepath.Join(r.dir, "all.jsonl")}
	job := launch(t, r.dir, append([]string{"dead-letter", "discard", r.name, "--yes"}, args...)...)
	job.await("some are discarded", func() bool {
		client := job.client()
		if client == nil {
			return false
		}
		s, err := client.Job(t.Context(), b.name("bin"))
		return err == nil && s.Done > 0
	})
	job.kill()
	r.job("of its offsets are left", map[string]int64{"discarded": int64(n)}, "discard", args...)
	r.open(0, n, 1, 0)
	text, err := os.ReadFile(filepath.Join(r.dir, "all.jsonl"))
	if lines := strings.Count(string(text), "\n"); err != nil || lines != n {
		t.Errorf("%v, %d lines", err, lines)
	}
	r.effects(0, 0)
}

// A second job is refused while one runs, whoever asks; each letter is sent once.
func TestRedriveTwice(t *testing.T) {
	t.Parallel()
	testRedriveTwice(t, bed{})
}

func testRedriveTwice(t *testing.T, b bed) {
	r := refusedOrders(t, b, 300, "8d")
	if len(b.brokers) > 0 {
		if code := r.p.stop(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
	}
	r.m.set(true)
	dirs := []string{r.dir, r.dir}
	if len(b.brokers) > 0 {
		dirs[1] = t.TempDir() // another machine
		text, err := os.ReadFile(filepath.Join(r.dir, "pipelines.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dirs[1], "pipelines.yaml", string(text))
	}
	var all []*process
	for _, dir := range dirs {
		all = append(all, launch(t, dir, "dead-letter", "redrive", r.name, "--yes", "--all", "--rate", "100"))
	}
	var codes []int
	said := ""
	for _, p := range all {
		<-p.done
		codes, said = append(codes, p.cmd.ProcessState.ExitCode()), said+p.log()
	}
	slices.Sort(codes)
	if !slices.Equal(codes, []int{0, 1}) || !strings.Contains(said, "has a job already") {
		t.Errorf("exit codes %v:\n%s", codes, said)
	}
	r.effects(300, 300)
}
