package embedded

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/pipeline/testbed/hostile"
)

// An earlier version took batches whose records can't be read. They are there, those
// beside them are read, and who asks for a time does not end the broker.
func TestALogWithMalformedBatches(t *testing.T) {
	dir := t.TempDir()
	seed(t, dir)
	liar := hostile.BatchOf(1, 0)
	liar.Records = hostile.Lying(0)
	junk := hostile.BatchOf(1, 4)
	junk.Raw = []byte("this is not zstd")
	// A record says that it is longer than the batch, and the batch that later times
	// are in it.
	long := hostile.BatchOf(2, 0)
	_, n := binary.Varint(long.Records)
	long.Records = append(binary.AppendVarint(nil, 5000), long.Records[n:]...)
	later := long.Encode()
	binary.BigEndian.PutUint64(later[atMaxTime:], uint64(time.Now().Add(2*time.Hour).UnixMilli()))
	hostile.Seal(later)
	added := [][]byte{liar.Encode(), junk.Encode(), later, hostile.BatchOf(1, 0).Encode()}
	for i, offset := range []int64{10, 11, 12, 14} {
		putOffset(added[i], offset)
	}
	edit(t, orders(dir, "0.dat"), func(raw []byte) []byte { return append(raw, slices.Concat(added...)...) })
	if err := os.Remove(dir + "/" + checkedFile); err != nil {
		t.Fatal(err)
	}

	told := newAlarms()
	for range 2 { // also at the next opening
		b := start(t, Config{Dir: dir, OnAlarm: told.add})
		c := client(t, b.Addr())
		// It is only there that kfake decodes them.
		for _, at := range []int64{999, 1000, 4000, time.Now().Add(time.Hour).UnixMilli()} {
			if _, err := kadm.NewClient(c).ListOffsetsAfterMilli(t.Context(), at, "orders"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := kadm.NewClient(c).ListMaxTimestampOffsets(t.Context(), "orders"); err != nil {
			t.Fatal(err)
		}
		if end := endOf(t, c, "orders"); end != 15 {
			t.Errorf("the log ends at %d, want 15", end)
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
		if len(got) != len(slices.Concat(added...)) || !strings.Contains(string(got), "this is not zstd") {
			t.Errorf("fetched %d bytes", len(got))
		}
		c.Close()
		stop(t, b)
	}
	all := told.list()
	if len(all) != 1 || all[0].Kind != AlarmMalformed || !strings.Contains(all[0].Message, "orders/0 has 3 batches") {
		t.Errorf("alarms %v", all)
	}
}
