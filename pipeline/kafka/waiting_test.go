package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestWritesWaitForReplicasAndSaySo(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.topic("out", 1)
	p := b.publisher()
	mend := b.failProduce(kerr.NotEnoughReplicas.Code)
	written := make(chan error, 1)
	go func() { written <- p.Produce(t.Context(), numberedRecords("out", 3)) }()
	b.eventually("a word of it", func() bool { return p.Waiting() != "" })
	select {
	case err := <-written:
		t.Fatalf("the write ended with %v", err)
	default:
	}
	mend()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if why := p.Waiting(); why != "" {
		t.Errorf("afterwards it says %q", why)
	}
	if n := len(b.readAll("out")); n != 3 {
		t.Errorf("%d records were written, want 3", n)
	}
}

func TestCloseLeavesWritesBehindThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.topic("out", 1)
	p := b.publisher()
	defer b.failProduce(kerr.NotEnoughReplicas.Code)()
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan error, 1)
	go func() { written <- p.Produce(ctx, numberedRecords("out", 3)) }()
	time.AfterFunc(200*time.Millisecond, cancel)
	if err := <-written; err == nil {
		t.Fatal("a write that was not acknowledged did not fail")
	}
	begun := time.Now()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 2*leftBehind {
		t.Errorf("closing took %v", took)
	}
}
