package idempotency

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var anHour = time.Date(2026, 3, 1, 12, 0, 0, 5_000_123, time.UTC)

func fullRow() *Row {
	return &Row{
		State:       Confirmed,
		Token:       Token{Run: [16]byte{1, 2, 3}, Seq: math.MaxUint64},
		Holder:      Holder{Host: "worker-1", PID: 4711, Run: "0102"},
		Origin:      Origin{Topic: "order_invoices", Partition: 5, Offset: math.MaxInt64},
		Digest:      DigestOf([]byte("x")),
		ClaimedAt:   anHour,
		ConfirmedAt: anHour.Add(time.Second),
		Deadline:    anHour.Add(30 * time.Second),
		Expires:     anHour.Add(8 * 24 * time.Hour),
		Lease:       30 * time.Second,
		TTL:         8 * 24 * time.Hour,
		Answer:      "202 Accepted",
		Uncertain:   true,
	}
}

func TestRowComesBackAsItWas(t *testing.T) {
	rows := map[string]*Row{
		"full":     fullRow(),
		"empty":    {State: Claimed},
		"negative": {State: ParkedState, Origin: Origin{Partition: -1, Offset: -1}, TTL: -1},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(Encode(row))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row, got); diff != "" {
				t.Errorf("row changed (-stored +read):\n%s", diff)
			}
		})
	}
}

func TestRowIsBounded(t *testing.T) {
	long := strings.Repeat("ü", 5000)
	row := fullRow()
	row.Origin = Origin{Topic: long, Partition: math.MinInt32, Offset: math.MinInt64}
	row.Holder = Holder{Host: long, PID: math.MinInt, Run: long}
	row.Answer = long
	data := Encode(row)
	if len(data) > MaxRow {
		t.Fatalf("a row of %d bytes is longer than %d", len(data), MaxRow)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Answer != strings.Repeat("ü", 32) {
		t.Errorf("answer was cut to %q", got.Answer)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := Encode(fullRow())
	with := func(at int, b byte) []byte {
		bad := bytes.Clone(good)
		bad[at] = b
		return bad
	}
	cases := map[string]struct {
		data []byte
		want string
	}{
		"nothing":       {nil, "damaged"},
		"version zero":  {with(0, 0), "damaged"},
		"newer version": {with(0, 2), "format version 2, this program knows up to 1"},
		"no such state": {with(1, 9), "damaged"},
		"unknown flag":  {with(2, 0x80), "damaged"},
		"too short":     {good[:len(good)-1], "damaged"},
		"too long":      {append(bytes.Clone(good), 0), "damaged"},
		"far too long":  {make([]byte, MaxRow+1), "damaged"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			row, err := Decode(c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v and error %v, want one about %q", row, err, c.want)
			}
		})
	}
}

// The file holds what version 1 wrote: every later version reads it.
func TestDecodeReadsVersion1(t *testing.T) {
	data, err := os.ReadFile("testdata/row.v1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullRow(), got); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(Encode(fullRow()), data) {
		t.Error("version 1 is written otherwise now")
	}
}

func TestRowAsJSON(t *testing.T) {
	got, err := json.Marshal(fullRow())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"state":"confirmed","uncertain":true,"holder":{"host":"worker-1","pid":4711,"run":"0102"},` +
		`"token":"01020300000000000000000000000000-18446744073709551615",` +
		`"record":{"topic":"order_invoices","partition":5,"offset":9223372036854775807},` +
		`"digest":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",` +
		`"claimed_at":"2026-03-01T12:00:00.005Z","confirmed_at":"2026-03-01T12:00:01.005Z",` +
		`"lease_until":"2026-03-01T12:00:30.005Z","expires":"2026-03-09T12:00:00.005Z",` +
		`"lease":"30s","ttl":"192h0m0s","answer":"202 Accepted"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func FuzzRow(f *testing.F) {
	f.Add([]byte{})
	f.Add(Encode(fullRow()))
	f.Add(Encode(&Row{State: Claimed}))
	f.Fuzz(func(t *testing.T, data []byte) {
		row, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Decode(Encode(row))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if diff := cmp.Diff(row, again); diff != "" {
			t.Errorf("row changed:\n%s", diff)
		}
		if _, err := json.Marshal(row); err != nil {
			t.Errorf("row has no readable form: %v", err)
		}
	})
}
