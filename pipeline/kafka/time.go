package kafka

import (
	"fmt"
	"math"
	"time"
)

// Kafka's times are milliseconds in 64 bits. Both client libraries calculate in
// nanoseconds of 64 bits, which hold the years 1677 to 2262 only, and the writing
// one takes nothing before 1970. But they let the product overflow, as Go does,
// and that loses nothing where the factor's inverse is known.

// lastPlain is the last millisecond whose nanoseconds fit 64 bits.
const lastPlain = math.MaxInt64 / int64(time.Millisecond)

// oddTime tells whether a record of this time can't share a request with others:
// the producer writes the times of a request as distances that must fit 64 bits
// of nanoseconds.
func oddTime(t time.Time) bool {
	ms := t.UnixMilli()
	return !t.IsZero() && (ms < 0 || ms > lastPlain)
}

// stamp is the time to hand to the producer so that it writes t. One before 1970
// becomes the time after 2262 of the same nanoseconds in 64 bits.
func stamp(t time.Time) time.Time {
	ms := t.UnixMilli()
	if t.IsZero() || ms >= 0 || ms < -lastPlain {
		return t
	}
	ns := uint64(ms * int64(time.Millisecond))
	return time.Unix(int64(ns/uint64(time.Second)), int64(ns%uint64(time.Second)))
}

// writable says why the producer can't write a record of time t, nil where it can.
func writable(t time.Time) error {
	if ms := t.UnixMilli(); !t.IsZero() && (ms < -lastPlain || ms > lastPlain) {
		return fmt.Errorf("the record's timestamp of %d ms is outside of the years 1677 to 2262", ms)
	}
	return nil
}

// exactTime is the time that a fetched record has, where the client's product of
// milliseconds and a million overflowed: t is what 64 bits kept of it. A million
// is 2⁶ times 5⁶, so the six highest bits are lost, and for times of the next
// four million years, and the last, nothing is.
func exactTime(t time.Time) time.Time {
	const lost, inverse = 6, 0x790fb65668c26139 // of 5⁶, modulo 2⁶⁴
	kept := uint64(t.UnixNano()>>lost) * inverse
	return time.UnixMilli(int64(kept<<lost) >> lost)
}
