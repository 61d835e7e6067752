//go:build real

package cmd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The README's ten lines take the repository's own pipelines.yaml to a cluster,
// where two replicas notify each order once.
func TestRealREADMEToACluster(t *testing.T) {
	b := kafkaAndRedis(t)
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## From the embedded broker to a cluster\n")
	shown := blocks(section, "sh")
	if !found || len(shown) == 0 {
		t.Fatal("the README has lost its section")
	}
	lines := strings.Split(strings.TrimSpace(strings.NewReplacer("localhost:9092", b.brokers[0], "redis://localhost:6379/0", b.store).Replace(shown[0])), "\n")
	if len(lines) != 10 {
		t.Errorf("the README promises ten lines and has %d", len(lines))
	}
	last := lines[len(lines)-1]
	var all []*process
	var ingest string
	for range 2 {
		var file string
		dir := t.TempDir()
		file, ingest = roadFile(t, b)
		writeRoad(t, dir, file)
		bin := filepath.Join(dir, "bin", "millrace")
		if err := os.Mkdir(filepath.Dir(bin), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(os.Args[0], bin); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-e", "-c", strings.Join(lines[:len(lines)-1], "\n"))
		cmd.Dir, cmd.Env = dir, append(os.Environ(), childEnv+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		all = append(all, start(t, dir, strings.Fields(strings.TrimPrefix(last, "bin/millrace "))...))
	}
	all[0].await("both have partitions", func() bool { return len(owned(all[0])) == 3 && len(owned(all[1])) == 3 })
	const orders = 100
	for i := range 2 * orders {
		send(t, ingest+"/orders", fmt.Sprintf(`{"order_id": "o-%d", "status": "purchased", "total": 5}`, i%orders))
	}
	total := func(i int) (n int64) {
		for _, p := range all {
			for _, c := range p.status().Pipelines[i].Outcomes {
				n += c
			}
		}
		return n
	}
	all[0].await("all is finished", func() bool { return total(0) == 2*orders && total(1) == orders })
	if n := len(all[0].lines()) + len(all[1].lines()); n != orders {
		t.Errorf("%d notifications of %d orders, each sent twice", n, orders)
	}
}
