package cmd

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
)

// Letters of two sinks, of which the file loses one, and of records that could not be
// decided, which today's file decides.
func TestRedriveWithAnotherFile(t *testing.T) {
	t.Parallel()
	m := newMender(t)
	r := &redrives{T: t, dir: t.TempDir(), m: m, name: "invoices"}
	file := func(filter, sinks string) {
		write(t, r.dir, "pipelines.yaml", fmt.Sprintf(`version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  invoices:
    source: {topic: orders}
    filter: %s
    idempotency: {key: "order:${payload.order_id}"}
    transform: {payload: {id: payload.order_id}}
    sinks:
%s`, filter, sinks))
	}
	bill := fmt.Sprintf(`      - {name: bill, http: {url: "%s/bill/${payload.id}"}}`+"\n", m.URL)
	post := fmt.Sprintf(`      - {name: post, http: {url: "%s/post/${payload.id}"}}`+"\n", m.URL)
	file("payload.n > 0", bill+post)
	r.p = start(t, r.dir, "run")
	var records []*handlers.Record
	for i := range 25 {
		n, status := "1", "new"
		if i >= 20 {
			n = `"x"` // which the filter can't compare
		}
		if i >= 22 {
			status = "old"
		}
		records = append(records, &handlers.Record{Topic: "orders", Partition: -1, Offset: -1, Key: fmt.Append(nil, i),
			Value: fmt.Appendf(nil, `{"order_id": "o-%d", "n": %s, "status": %q}`, i, n, status)})
	}
	r.bed.send(t, r.p.broker(), records)
	r.p.await("all are dead-lettered", func() bool { return r.p.status().Pipelines[0].Outcomes["dead_lettered"] == 25 })
	if code := r.p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	m.set(true)

	file(`payload.status == "new"`, bill)
	r.job(`20 letters are left alone: the pipeline has no sink "post" any more`, map[string]int64{"delivered": 22, "filtered": 3}, "redrive", "--all")
	if paths, calls := m.effects(); paths != 22 || calls != 22 {
		t.Errorf("%d orders in %d calls", paths, calls)
	}
	out, _ := r.letters(0, "list", r.name)
	if !strings.Contains(out, "20 open dead letters of invoices, 25 resolved") {
		t.Error(out)
	}
	r.job("20 letters are left alone", nil, "redrive", "--all")
	r.job("", map[string]int64{"discarded": 20}, "discard", "--sink", "post", "--archive", r.dir+"/post.jsonl")
	r.job("there is nothing to discard", nil, "discard", "--sink", "post", "--archive", r.dir+"/none.jsonl")
	if _, err := os.Stat(r.dir + "/none.jsonl"); err == nil {
		t.Error("an archive of nothing was made")
	}

	// What was filtered has no key, so that another filter may still have it.
	file(`payload.order_id != "o-24"`, bill)
	told(t, r.dir, 0, fmt.Sprintf("%-14s %9d", "delivered", 2), "replay", "invoices", "--yes", "--from", "earliest")
}

// Without keys a letter's coordinates of old stand for it.
func TestRedriveWithoutKeys(t *testing.T) {
	t.Parallel()
	m := newMender(t)
	r := &redrives{T: t, dir: t.TempDir(), m: m, name: "invoices"}
	write(t, r.dir, "pipelines.yaml", fmt.Sprintf(`version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  invoices:
    source: {topic: orders}
    sinks: [{http: {url: "%s/orders/${payload.order_id}"}}]
`, m.URL))
	r.p = start(t, r.dir, "run")
	r.send(0, 100)
	r.job("", map[string]int64{"dead_lettered": 100}, "redrive", "--all")
	m.set(true)
	r.job("", map[string]int64{"delivered": 100}, "redrive", "--round", "2")
	r.job("there is nothing to redrive", nil, "redrive", "--all")
	r.effects(100, 100)
	r.send(100, 0)
	r.m.set(false)
	r.send(100, 5)
	r.job("", map[string]int64{"discarded": 5}, "discard", "--all", "--archive", r.dir+"/five.jsonl")
	r.open(0, 205, 1, 0)
}

// What is asked wrong is answered with what is wrong, and nothing is changed.
func TestRedriveRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  orders: {source: {topic: in}, sinks: [{stdout: {}}]}
  blocks: {source: {topic: in}, dead_letter: off, sinks: [{stdout: {}}]}
`)
	start(t, dir, "run")
	many := strings.TrimSpace(strings.Repeat("0/123456 ", 400))
	for _, c := range []struct {
		code int
		says string
		args string
	}{
		{2, "was given no argument", "redrive"},
		{2, `did you mean "orders"?`, "redrive order --all"},
		{2, "say which letters: --all, ids, or a filter", "redrive orders"},
		{2, "say which letters: --all, ids, or a filter", "redrive orders --max 3"},
		{2, "--all, ids and filters exclude each other", "redrive orders --all --reason refused"},
		{2, "--all, ids and filters exclude each other", "redrive orders 0/1 --sink -"},
		{2, `such as 0/42, not "12"`, "redrive orders 12"},
		{2, "--max-rounds is a number above 0", "redrive orders --all --max-rounds 0"},
		{2, "--max is a number above 0", "redrive orders --all --max -1"},
		{2, "--round counts from 1", "redrive orders --round 0"},
		{2, "--since must lie before --until", "redrive orders --since -1h --until -2h"},
		{2, "--where: at character", "redrive orders --where payload.("},
		{2, "has no dead letters: its dead_letter is off", "redrive blocks --all"},
		{2, `has no job "day" to go on with; to begin one, say which letters`, "redrive orders --id day"},
		{2, "the id of a job has", "redrive orders --all --id A/b"},
		{2, "give fewer ids, or a filter", "redrive orders " + many},
		{2, "--archive FILE", "discard orders --all"},
		{2, "is there already, and is not written over", "discard orders --all --archive pipelines.yaml"},
		{0, "orders.dead-letter: 0 open dead letters of orders\nthere is nothing to redrive", "redrive orders --all"},
		{0, "1 id is not open", "redrive orders orders.dead-letter/0/7"},
		{0, "there is nothing to discard", "discard orders --all --archive a.jsonl"},
	} {
		code, out, errs := millrace(t, dir, append([]string{"dead-letter"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(errs, c.says) || out != "" {
			t.Errorf("%.60s: code %d, want %d with %q:\n%s%s", c.args, code, c.code, c.says, out, errs)
		}
	}
}
