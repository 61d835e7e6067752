package pipeline

import (
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/kafka/embedded"
	"github.com/millrace/millrace/pipeline/plan"
)

// TestTheBrokersAlarmsAndReadiness: what keeps records from the embedded broker keeps
// the process from being ready, and says why; the rest does not.
func TestTheBrokersAlarmsAndReadiness(t *testing.T) {
	for kind, ready := range map[string]bool{
		embedded.AlarmFull: false, embedded.AlarmUnreachable: false,
		embedded.AlarmNearlyFull: true, embedded.AlarmMalformed: true, embedded.AlarmTorn: true,
	} {
		r := NewRunner(&plan.Plan{}, RunnerDeps{})
		r.brokerAlarm(embedded.Alarm{Kind: kind, Message: "something is wrong"})
		s := r.Status()
		said := slices.ContainsFunc(s.Reasons, func(reason string) bool { return strings.HasSuffix(reason, "something is wrong") })
		if s.Ready != ready || said == ready {
			t.Errorf("%s: ready %v, reasons %v", kind, s.Ready, s.Reasons)
		}
		r.brokerAlarm(embedded.Alarm{Kind: kind, Cleared: true})
		if s := r.Status(); !s.Ready {
			t.Errorf("%s is over: reasons %v", kind, s.Reasons)
		}
	}
}
