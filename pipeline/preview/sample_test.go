package preview_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/preview"
)

// TestSample takes windows of several topics that several pipelines read.
func TestSample(t *testing.T) {
	plan := load(t, several, nil)
	s := newStage(t, plan.Files, nil)
	from := time.UnixMilli(1_700_000_000_000).UTC()
	var records []*handlers.Record
	add := func(topic, value string, second int) {
		records = append(records, &handlers.Record{Topic: topic, Partition: -1, Offset: -1, Key: []byte("k"), Value: []byte(value), Time: from.Add(time.Duration(second) * time.Second)})
	}
	for i := range 6 {
		add("orders", fmt.Sprintf("%q", fmt.Sprint("o", i)), 10*i)
	}
	add("returns", `"r0"`, 25)
	add("returns", `"r1"`, 5) // a clock that went back
	add("returns", `"r2"`, 55)
	add("logs_a", `"a0"`, 12)
	add("logs_b", `"b0"`, 11)
	s.publish(t, 1, records)
	for name, c := range map[string]struct {
		chosen []int
		window preview.Window
		want   string
	}{
		"the newest of each": {nil, preview.Window{Last: 2}, "b0[2] a0[2] o4[1] o5[0 1] r2[0]"},
		"all by time":        {[]int{0}, preview.Window{Last: -1}, "o0[0] o1[0] o2[0] r0[0] r1[0] o3[0] o4[0] o5[0] r2[0]"},
		"since":              {[]int{0}, preview.Window{Last: -1, Since: from.Add(30 * time.Second)}, "o3[0] o4[0] o5[0] r2[0]"},
		"until":              {[]int{1}, preview.Window{Last: -1, Until: from.Add(20 * time.Second)}, "o0[0] o1[0]"},
		"between":            {[]int{1}, preview.Window{Last: 2, Since: from.Add(10 * time.Second), Until: from.Add(50 * time.Second)}, "o3[0] o4[0] dropped 2"},
		"nothing":            {[]int{1}, preview.Window{Last: 5, Since: from.Add(time.Hour)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			plan := s.plan(t, builtin.Registry())
			pipelines := plan.Pipelines
			if c.chosen != nil {
				pipelines = nil
				for _, i := range c.chosen {
					pipelines = append(pipelines, plan.Pipelines[i])
				}
			}
			s.withBroker(t, func(settings kafka.Settings, admin *kafka.Admin) {
				topics := preview.Topics{Settings: settings, Admin: admin, Deps: kafka.Deps{Logger: s.log}}
				items, dropped, err := topics.Sample(t.Context(), pipelines, c.window)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, item := range items {
					got = append(got, strings.Trim(string(item.Record.Value), `"`)+fmt.Sprint(item.Pipelines))
				}
				if dropped > 0 {
					got = append(got, fmt.Sprint("dropped ", dropped))
				}
				if text := strings.Join(got, " "); text != c.want {
					t.Errorf("\n got %s\nwant %s", text, c.want)
				}
			})
		})
	}
}
