package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// A Redis that hung, or a network that did, reads what was sent to it meanwhile once
// it is back, also claims whose callers have long given up: each would keep its key
// from everybody for a whole lease. So a claim says, on Redis's own clock, when
// nobody waits for it any more.

// argLate is where that stands among the arguments of a row's script.
const argLate = 9

// claimTries is how often a claim is sent whose lateness is that of a clock.
const claimTries = 3

// clock is what is known of Redis's clock, by what it last said of it.
type clock struct {
	mu   sync.Mutex
	said int64 // microseconds
	at   time.Time
	// slack is by how much the clocks of a cluster's nodes, which are asked in
	// turn, were found to differ.
	slack int64
}

// heard takes the time that Redis said.
func (c *clock) heard(said int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.at = said, time.Now()
}

// late is when the caller of ctx gives up, empty where that is not known.
func (c *clock) late(ctx context.Context) string {
	until, ok := ctx.Deadline()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok || c.said == 0 {
		return ""
	}
	return strconv.FormatInt(c.then(until), 10)
}

// span is what Redis's clock shows now, and when the caller of ctx gives up: in an
// hour, where it does not say.
func (c *clock) span(ctx context.Context) (now, late int64) {
	at := time.Now()
	until, ok := ctx.Deadline()
	if !ok {
		until = at.Add(time.Hour)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.then(at), c.then(until)
}

// then is what Redis's clock shows at a time of ours.
func (c *clock) then(t time.Time) int64 { return c.said + t.Sub(c.at).Microseconds() + c.slack }

// disagrees tells whether a claim was refused for being late although its caller
// still waits: then it is the clocks that differ. The answer itself brought the
// time; where that was not enough, by how much is taken into account from then on.
func (c *clock) disagrees(err error, late string, again bool) bool {
	said, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok {
		return false
	}
	text, ok := strings.CutPrefix(said.Error(), "LATE ")
	now, err1 := strconv.ParseInt(text, 10, 64)
	was, err2 := strconv.ParseInt(late, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return false
	}
	if again {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.slack += now - was + time.Second.Microseconds()
	}
	return true
}
