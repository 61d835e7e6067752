package kafka

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A member outlives the death of its coordinator: the next one, some 10 s later,
// loads the group as it was and gives every member a whole session from then on.
// All that the member must do is to go on asking, for up to requestTimeout, which
// the client by itself does not always: a session that ends on its side gives
// partitions up without a commit, gets them back a moment later and delivers
// again what it had finished.
const (
	// answerTimeout is how long an answer may take. A broker that went silent
	// without its connections being closed is found out by it alone, and the next
	// coordinator's session may be over by then where session_timeout is short.
	answerTimeout = 10 * time.Second
	// longestBackoff is how long the member rests between two tries.
	longestBackoff = time.Second
)

// patientOptions make the client of a group's member keep its session while
// brokers come and go.
func (c cluster) patientOptions() []kgo.Opt {
	dial := (&net.Dialer{Timeout: dialTimeout}).DialContext
	if c.dialer != nil {
		dial = c.dialer.DialContext
	}
	return []kgo.Opt{
		kgo.Dialer(patient(dial)),
		kgo.RequestTimeoutOverhead(answerTimeout),
		kgo.RequestRetries(int(requestTimeout / longestBackoff * 2)),
		kgo.RetryBackoffFn(backoff),
	}
}

func backoff(tries int) time.Duration {
	d := min(100*time.Millisecond<<min(max(tries-1, 0), 10), longestBackoff)
	return d*3/4 + rand.N(d/2)
}

// patient makes a broker that can't be reached one that may be asked again. The
// client gives a request up whose search for the coordinator twice in a row
// meets a broker that refuses connections, as one of three does that has died.
func patient(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" && ctx.Err() == nil {
			away := *op
			away.Err = awayError{op.Err}
			return nil, &away
		}
		return conn, err
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// awayError says of a failed dial what makes the client try again.
type awayError struct{ error }

func (e awayError) Unwrap() error { return e.error }
func (awayError) Timeout() bool   { return true }
func (awayError) Temporary() bool { return true }
