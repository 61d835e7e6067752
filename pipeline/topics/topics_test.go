package topics

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const day = 24 * time.Hour

func have(partitions, replication int, configs ...string) state {
	s := state{partitions: partitions, replication: replication, configs: map[string]string{retentionKey: "604800000", cleanupKey: "delete"}}
	for i := 0; i < len(configs); i += 2 {
		s.configs[configs[i]] = configs[i+1]
	}
	return s
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		want  Want
		have  state
		embed bool
		text  string
	}{
		"as it should be": {want: Want{Partitions: 6, Replication: 3, Retention: 7 * day, Cleanup: "delete"}, have: have(6, 3),
			text: "nothing to do: 1 topic is as the file says\n"},
		"nothing said": {have: have(12, 3, cleanupKey, "compact"),
			text: "nothing to do: 1 topic is as the file says\n"},
		"missing": {want: Want{Partitions: 6, Replication: 3, Retention: 7 * day, Cleanup: "compact"},
			text: "+ t: 6 partitions, replication 3, retention 7d, cleanup compact (source of p)\n1 change to make; 0 topics are as the file says\n"},
		"missing, nothing said": {
			text: "+ t: the cluster's number of partitions, its replication (source of p)\n1 change to make; 0 topics are as the file says\n"},
		"missing dead letters": {want: Want{Letters: "there"},
			text: "+ t: the cluster's number of partitions, replication 3 (source of p)\n    mind: the brokers delete dead letters after"},
		"missing dead letters of what is missing": {want: Want{Letters: "missing"},
			text: "+ t: the cluster's number of partitions, replication 2 (source of p)\n"},
		"missing, on the embedded broker": {want: Want{Replication: 3, Retention: day, Cleanup: "compact"}, embed: true,
			text: "+ t: 6 partitions, replication 1 (source of p)\n1 change to make; 0 topics are as the file says\n"},
		"more partitions": {want: Want{Partitions: 12}, have: have(6, 1),
			text: "~ t: partitions 6 → 12\n    mind: keys move to other partitions"},
		"more partitions of a compacted topic": {want: Want{Partitions: 12}, have: have(6, 1, cleanupKey, "compact"),
			text: "compaction then keeps an old value of a key that moved\n"},
		"fewer partitions": {want: Want{Partitions: 3}, have: have(6, 1),
			text: "! t: partitions 6, the file says 3\n    not done: partitions can't be taken away: only a topic made anew has fewer, or write partitions: 6\n0 changes to make, 1 difference is left; 0 topics are as the file says\n"},
		"other replication": {want: Want{Replication: 3}, have: have(6, 1),
			text: "! t: replication 1, the file says 3\n    not done: replicas are moved by the cluster's own tools"},
		"shorter retention": {want: Want{Retention: 36 * time.Hour}, have: have(6, 1),
			text: "~ t: retention 7d → 36h\n    mind: the brokers delete what is older\n"},
		"longer retention": {want: Want{Retention: 8 * day}, have: have(6, 1),
			text: "~ t: retention 7d → 8d\n1 change to make"},
		"retention of what was kept for ever": {want: Want{Retention: 90 * time.Second}, have: have(6, 1, retentionKey, "-1"),
			text: "~ t: retention for ever → 1m30s\n    mind: the brokers delete what is older\n"},
		"compacted": {want: Want{Cleanup: "compact"}, have: have(6, 1),
			text: "~ t: cleanup delete → compact\n    mind: of each key only the newest record stays, and records without a key are refused\n"},
		"no more compacted": {want: Want{Cleanup: "delete"}, have: have(6, 1, cleanupKey, "compact"),
			text: "~ t: cleanup compact → delete\n    mind: the brokers delete what is older than the retention\n"},
		"both policies": {want: Want{Cleanup: "compact"}, have: have(6, 1, cleanupKey, "compact,delete"),
			text: "~ t: cleanup compact,delete → compact\n1 change to make"},
		"embedded, all that it can't do": {want: Want{Partitions: 6, Replication: 3, Retention: day, Cleanup: "compact"}, have: have(6, 1, retentionKey, "-1"), embed: true,
			text: "nothing to do: 1 topic is as the file says\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Name, c.want.Uses = "t", []string{"source of p"}
			there := map[string]state{"there": have(6, 3)}
			if c.have.partitions > 0 {
				there["t"] = c.have
			}
			o := Options{}
			if c.embed {
				o = Options{Embedded: true, DefaultPartitions: 6}
			}
			wants := []Want{c.want}
			if c.want.Letters == "missing" {
				wants = append(wants, Want{Name: "missing", Replication: 2})
			}
			var text strings.Builder
			if err := compare(wants, there, o).WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(text.String(), c.text) {
				t.Errorf("got\n%swant\n%s", text.String(), c.text)
			}
		})
	}
}

func TestPlanIsSorted(t *testing.T) {
	plan := compare([]Want{{Name: "b"}, {Name: "a", Partitions: 2}, {Name: "c", Partitions: 2, Replication: 2}}, map[string]state{
		"a": have(1, 1), "c": have(4, 1),
	}, Options{})
	var got []string
	for _, c := range plan.Changes {
		got = append(got, string(c.Action)+" "+c.Topic+" "+c.Setting)
	}
	if diff := cmp.Diff([]string{"grow a partitions", "create b ", "leave c partitions", "leave c replication"}, got); diff != "" {
		t.Error(diff)
	}
	if plan.Pending() != 2 || plan.Left() != 2 || len(plan.Only(Create).Changes) != 1 {
		t.Errorf("%+v", plan)
	}
}

func TestWriteList(t *testing.T) {
	var text strings.Builder
	err := WriteList(&text, []Listed{
		{Topic: "orders", Partitions: 6, Replication: 3, RetentionMS: (7 * day).Milliseconds(), Cleanup: "delete", Lag: []Lag{{Pipeline: "a", Lag: 12, Begun: true}, {Pipeline: "b", Lag: 40}}},
		{Topic: "orders.dead-letter", Partitions: 1, Replication: 1, RetentionMS: -1},
	})
	want := `TOPIC               PARTITIONS  REPLICATION  RETENTION  CLEANUP  LAG
orders              6           3            7d         delete   a 12, b 40 (not begun)
orders.dead-letter  1           1            for ever            -
`
	if diff := cmp.Diff(want, text.String()); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
