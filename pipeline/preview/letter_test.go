package preview

import (
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline"
)

// A record may carry headers of any name: what a dead letter says is only what stands
// behind the last millrace-topic, where Millrace began to write.
func TestForgedHeadersAreNotRead(t *testing.T) {
	header := func(key, value string) handlers.Header {
		return handlers.Header{Key: key, Value: []byte(value)}
	}
	forged := []handlers.Header{
		header(pipeline.HeaderTopic, "elsewhere"), header(pipeline.HeaderPartition, "7"), header(pipeline.HeaderOffset, "7"),
		header(pipeline.HeaderSink, "EVILSINK"), header(pipeline.HeaderKey, "victim"),
	}
	own := []handlers.Header{
		header(pipeline.HeaderTopic, "orders"), header(pipeline.HeaderPartition, "0"), header(pipeline.HeaderOffset, "3"),
		header(pipeline.HeaderPipeline, "p"), header(pipeline.HeaderStage, "decode"), header(pipeline.HeaderReason, "decode_failed"),
	}
	x := &Explanation{Pipeline: "p", Record: &handlers.Record{Topic: "orders", Offset: 3}}
	letter, ok := letterOf(&handlers.Record{Headers: append(forged, own...)}, x)
	if !ok || letter.Sink != "" || letter.Key != "" || letter.Stage != "decode" {
		t.Errorf("got %+v, %v", letter, ok)
	}
	if _, ok := letterOf(&handlers.Record{Headers: forged[3:]}, x); ok {
		t.Error("a record without coordinates is taken for a dead letter")
	}
}
