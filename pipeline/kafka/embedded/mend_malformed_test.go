package embedded

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// An earlier version took batches whose records can't be read. They are there, those
// beside them are read, and who asks for a time does not end the broker.
func TestALogWithMalformedBatches(t *testing.T) {
	dir := t.TempDir()
	seed(t, dir)
	liar := batchOf(1, 0)
	liar.records = lying(0)
	liar.codec, liar.raw = 0, nil
	bad := liar.encode()
	junk := batchOf(1, 4)
	junk.raw = []byte("this is not zstd")
	worse := junk.encode()
	sound := batchOf(1, 0).encode()
	for i, raw := range [][]byte{bad, worse, sound} {
		putOffset(raw, int64(10+i))
	}
	edit(t, orders(dir, "0.dat"), func(raw []byte) []byte { return slices.Concat(raw, bad, worse, sound) })
	if err := os.Remove(dir + "/" + checkedFile); err != nil {
		t.Fatal(err)
	}

	told := newAlarms()
	for range 2 { // also at the next opening
		b := start(t, Config{Dir: dir, OnAlarm: told.add})
		c := client(t, b.Addr())
		// It is only there that kfake decodes them.
		for at := range int64(3) {
			if _, err := kadm.NewClient(c).ListOffsetsAfterMilli(t.Context(), 999+at, "orders"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := kadm.NewClient(c).ListMaxTimestampOffsets(t.Context(), "orders"); err != nil {
			t.Fatal(err)
		}
		if end := endOf(t, c, "orders"); end != 13 {
			t.Errorf("the log ends at %d, want 13", end)
		}
		fetch := kmsg.NewPtrFetchRequest()
		fetch.Version, fetch.MaxBytes, fetch.SessionEpoch = 12, 1<<20, -1
		ft := kmsg.NewFetchRequestTopic()
		ft.Topic = "orders"
		fp := kmsg.NewFetchRequestTopicPartition()
		fp.FetchOffset, fp.PartitionMaxBytes = 10, 1<<20
		ft.Partitions = append(ft.Partitions, fp)
		fetch.Topics = append(fetch.Topics, ft)
		raw := rawClient{addr: b.Addr()}
		answer, err := raw.ask(fetch)
		if err != nil {
			t.Fatal(err)
		}
		raw.close()
		got := answer.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches
		if len(got) != len(bad)+len(worse)+len(sound) || !strings.Contains(string(got), "this is not zstd") {
			t.Errorf("fetched %d bytes", len(got))
		}
		c.Close()
		stop(t, b)
	}
	all := told.list()
	if len(all) != 1 || all[0].Kind != AlarmMalformed || !strings.Contains(all[0].Message, "orders/0 has 2 batches") {
		t.Errorf("alarms %v", all)
	}
}
