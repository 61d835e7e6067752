package kafka

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
)

// FuzzMarshal sends any record the way that records are written and takes it up
// as records are read: nothing is lost and nothing is added, also where a key, a
// value or a header is null or empty, and headers repeat.
func FuzzMarshal(f *testing.F) {
	f.Add(byte(0), []byte("k"), []byte("v"), "trace", []byte("t-1"), int64(1_700_000_000_000))
	f.Add(byte(0xff), []byte{}, []byte{}, "", []byte{}, int64(0))
	f.Add(byte(0x55), []byte{0xff}, []byte("{}"), "a\x00\xff", []byte{0}, int64(-1))
	f.Fuzz(func(t *testing.T, nulls byte, key, value []byte, name string, header []byte, millis int64) {
		null := func(bit int, b []byte) []byte {
			if nulls&(1<<bit) != 0 {
				return nil
			}
			return slices.Clone(b)
		}
		in := &handlers.Record{
			Topic: "elsewhere", Partition: -1, Offset: -1, Time: time.UnixMilli(millis % lastPlain),
			Key: null(0, key), Value: null(1, value),
		}
		for bit := 2; bit < 2+int(nulls%5); bit++ {
			in.Headers = append(in.Headers, handlers.Header{Key: name, Value: null(bit, header)}, handlers.Header{Key: name + "2", Value: binary.AppendVarint(nil, millis)})
		}
		before := *in
		before.Headers = slices.Clone(in.Headers)
		sent, err := marshaler{}.Marshal("orders", NewRecordMessage(t.Context(), in))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&before, in); diff != "" {
			t.Errorf("the record was changed:\n%s", diff)
		}
		got := &slotsOf([]*kgo.Record{taken(t, sent)}, 0)[0].record
		want := before
		want.Topic = "orders"
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("written (-) and read (+):\n%s", diff)
		}
	})
}

// taken is a record that was sent as a client receives it.
func taken(t *testing.T, sent *sarama.ProducerMessage) *kgo.Record {
	t.Helper()
	bytes := func(e sarama.Encoder) []byte {
		if e == nil {
			return nil
		}
		b, err := e.Encode()
		if err != nil || len(b) != e.Length() {
			t.Fatalf("%d bytes of %d: %v", len(b), e.Length(), err)
		}
		return b
	}
	// As the one library writes a time and the other reads it.
	at := time.Unix(0, sent.Timestamp.UnixNano()/int64(time.Millisecond)*int64(time.Millisecond))
	r := &kgo.Record{Topic: sent.Topic, Partition: -1, Offset: sent.Offset, Timestamp: at, Key: bytes(sent.Key), Value: bytes(sent.Value)}
	for _, h := range sent.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: string(h.Key), Value: h.Value})
	}
	return r
}
