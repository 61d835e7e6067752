package kafka

import (
	"math"
	"time"
)

// Kafka's times are milliseconds in 64 bits. Both client libraries calculate in
// nanoseconds of 64 bits, which hold the years 1677 to 2262 only, and the writing
// one takes nothing before 1970. The reading one lets the product overflow, which
// loses little where the factor's inverse is known; for the writing one see odd.go.

// lastPlain is the last millisecond whose nanoseconds fit 64 bits.
const lastPlain = math.MaxInt64 / int64(time.Millisecond)

// oddTime tells whether the producer can't encode a record of this time: with it
// in a request, the request would fail for everybody who shares it.
func oddTime(t time.Time) bool {
	ms := t.UnixMilli()
	return !t.IsZero() && (ms < 0 || ms > lastPlain)
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
