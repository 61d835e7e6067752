//go:build real

package cmd

import (
	"os/exec"
	"strings"
	"testing"
)

// kcat, an independent client, produces to and consumes from the embedded broker
// while a run is up, with and without a group.
func TestRealKcat(t *testing.T) {
	dir, _ := road(t, bed{})
	p := start(t, dir, "run")
	broker := p.status().Broker
	kcat := func(in string, args ...string) string {
		t.Helper()
		cmd := exec.Command("kcat", append([]string{"-b", broker}, args...)...)
		cmd.Stdin = strings.NewReader(in)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("kcat %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	kcat(`o-9:{"order_id":"o-9","status":"purchased","total":3}`+"\n", "-P", "-t", "order_invoices", "-K:", "-H", "via=kcat", "-X", "enable.idempotence=true", "-z", "lz4")
	p.await("the order that kcat sent is notified", func() bool { return len(p.lines()) == 1 })
	if got := kcat("", "-C", "-t", "notifications", "-o", "beginning", "-e", "-q", "-f", `%k %s\n`); strings.TrimSpace(got) != `o-9 {"order":"o-9","cents":300}` {
		t.Errorf("kcat consumed %q", got)
	}
	if got := kcat("", "-G", "kcat-group", "-c", "1", "-q", "-X", "auto.offset.reset=earliest", "-f", `%s\n`, "order_invoices"); !strings.Contains(got, `"o-9"`) {
		t.Errorf("kcat consumed %q as a group", got)
	}
	if got := kcat("", "-L"); !strings.Contains(got, `topic "order_invoices" with 6 partitions`) {
		t.Errorf("kcat lists\n%s", got)
	}
}
