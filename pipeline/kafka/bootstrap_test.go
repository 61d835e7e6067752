package kafka

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
)

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Some of the brokers that are named are away when a producer begins.
func TestProducerBeginsWhileBrokersAreAway(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	live := b.settings.Brokers[0]
	for i := range 8 {
		b.settings.Brokers = []string{closed(t), live, closed(t)}
		record := &handlers.Record{Topic: "orders", Value: []byte("v")}
		if err := b.publisher().Produce(t.Context(), []*handlers.Record{record}); err != nil {
			t.Fatalf("producer %d: %v", i, err)
		}
	}
}

// A cluster that is away for long costs nothing but the attempts.
func TestAttemptsAtAClusterThatIsAwayLeaveNothing(t *testing.T) {
	b := newBed(t)
	b.settings.Brokers = []string{closed(t), closed(t)}
	p := b.publisher()
	before := runtime.NumGoroutine()
	for range 20 {
		err := p.Produce(t.Context(), []*handlers.Record{{Topic: "orders"}})
		f := handlers.FailureOf(err, 0)
		if f == nil || f.Class != handlers.Infrastructure || !f.NotSent {
			t.Fatalf("%+v", f)
		}
		for _, address := range b.settings.Brokers {
			if !strings.Contains(f.Err.Error(), address) {
				t.Errorf("%s is not named: %v", address, f.Err)
			}
		}
	}
	for wait := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(wait) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}
