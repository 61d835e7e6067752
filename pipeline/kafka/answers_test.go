package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

// TestABrokerThatHangsHidesNoOther asks a cluster of which the first address takes
// connections and says nothing.
func TestABrokerThatHangsHidesNoOther(t *testing.T) {
	b := newBed(t)
	hung, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hung.Close() })
	settings := b.settings
	settings.Brokers = append([]string{hung.Addr().String()}, settings.Brokers...)
	a, err := NewAdmin(settings, b.deps())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Answers(within(t, dialTimeout)); err != nil {
		t.Error(err)
	}
}

// TestWhatMayPass tells brokers that are not up yet from what no waiting mends.
func TestWhatMayPass(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	nowhere := &net.DNSError{Err: "no such host", Name: "kafka-1"}
	credentials := cluster{}.explain(kerr.SaslAuthenticationFailed)
	unsure := cluster{}.explain(io.EOF)
	for _, c := range []struct {
		err  error
		want bool
	}{
		{refused, true}, {nowhere, true}, {context.DeadlineExceeded, true}, {unsure, true},
		{joined([]error{refused, nowhere}), true}, {kerr.CoordinatorNotAvailable, true},
		{credentials, false}, {joined([]error{refused, credentials}), false},
		{kerr.TopicAuthorizationFailed, false}, {errors.New("the topic does not exist"), false}, {nil, false},
	} {
		wrapped := c.err
		if c.err != nil {
			wrapped = fmt.Errorf("no broker answers: %w", c.err)
		}
		if got := MayPass(wrapped); got != c.want {
			t.Errorf("%v: %v", wrapped, got)
		}
	}
}

// TestRefusalsAreToldOnce is what several brokers met, as one line.
func TestRefusalsAreToldOnce(t *testing.T) {
	a, b := errors.New("a is down"), errors.New("b is down")
	if got := joined([]error{b, a, b}).Error(); got != "a is down; b is down" {
		t.Errorf("%q", got)
	}
}
