package redis

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// The row of a plain claim tells all but when it was taken; of that it has bounds
// until the end of its key's life is known.
func TestPlainRow(t *testing.T) {
	claim := idempotency.Claim{
		Token: idempotency.NewRun().Next(), Digest: idempotency.DigestOf([]byte("content")),
		Holder: idempotency.Holder{Host: "host", PID: 7, Run: "run"}, Origin: idempotency.Origin{Topic: "topic", Partition: 3, Offset: 42},
		TTL: time.Hour, Lease: 30 * time.Second, Answer: "of an earlier call",
	}
	sent := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	late := sent.Add(10 * time.Second)
	raw := string(appendPlain(nil, &claim, sent.UnixMicro(), late.UnixMicro()))
	row, err := unpack(raw)
	if err != nil || !isPlain(raw) {
		t.Fatal(row, err)
	}
	want := idempotency.Row{
		State: idempotency.Claimed, Token: claim.Token, Digest: claim.Digest, Holder: claim.Holder, Origin: claim.Origin,
		ClaimedAt: sent, Deadline: late.Add(claim.Lease), Expires: late.Add(idempotency.Forget), Lease: claim.Lease, TTL: claim.TTL,
	}
	if diff := cmp.Diff(want, *row); diff != "" {
		t.Errorf("read as (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct{ at, claimed time.Time }{
		"taken":                 {sent.Add(time.Second), sent.Add(time.Second)},
		"taken at the last":     {late, late},
		"taken too late":        {late.Add(time.Second), sent},
		"looked at without end": {time.UnixMilli(-1).Add(-idempotency.Forget), sent},
	} {
		got := *row
		taken(&got, c.at.Add(idempotency.Forget).UnixMilli())
		bounds := c.claimed.Equal(sent)
		if !got.ClaimedAt.Equal(c.claimed) || got.Deadline.Equal(row.Deadline) != (bounds || c.at.Equal(late)) ||
			!bounds && (got.Deadline.Sub(got.ClaimedAt) != claim.Lease || got.Expires.Sub(got.ClaimedAt) != idempotency.Forget) {
			t.Errorf("%s: claimed at %v, lease until %v, kept until %v", name, got.ClaimedAt, got.Deadline, got.Expires)
		}
	}
}
