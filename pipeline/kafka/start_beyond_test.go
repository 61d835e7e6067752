package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A start beyond the log is told as that and not as a loss, also after another
// start of the process; partitions that there are not are named.
func TestStartBeyondTheLog(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 2)
	b.write(numbered("orders", 0, 0, 5)...)
	source := b.source("orders")
	source.Start = Start{Kind: StartOffsets, Offsets: map[int32]int64{0: 120, 5: 1, 7: 2}}
	for _, round := range []string{"first", "second"} {
		b.mu.Lock()
		b.alarms = nil
		b.mu.Unlock()
		var logged bytes.Buffer
		deps := b.deps()
		deps.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		s, err := NewSubscriber(b.settings, source, deps)
		if err != nil {
			t.Fatal(err)
		}
		r := b.read(s, nil)
		alarm := b.alarmed("out_of_range")
		r.close(t)
		if alarm.Partition != 0 || !strings.HasPrefix(alarm.Message, "source.start names offset 120, and the log ends at 5: nothing was lost") || !strings.Contains(alarm.Message, "on_out_of_range: earliest") {
			t.Errorf("%s start: %+v", round, alarm)
		}
		named := strings.Contains(logged.String(), `level=WARN msg="source.start names partitions that the topic does not have"`) && strings.Contains(logged.String(), `unknown="[5 7]" partitions=2`)
		if named != (round == "first") {
			t.Errorf("%s start: the unknown partitions are named: %v\n%s", round, named, logged.String())
		}
	}
}
