//go:build unix

package expression

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
)

// slowStep is twenty times what a step is to take: machines are shared, and a cost
// that nobody charges is out by more than that.
const slowStep = 40 * time.Nanosecond

// FuzzCost looks for an expression and a record that cost more than is charged.
func FuzzCost(f *testing.F) {
	for _, seed := range []string{"", "\x01\x02\x03", "any(x, y in z)", "\x09\x08\x07\x06\x05\x04\x03\x02\x01\x09\x08\x07\x06\x05\x04\x03"} {
		f.Add([]byte(seed))
	}
	for _, worst := range worstCases() {
		f.Add([]byte(worst.source))
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		d := &drawn{bytes: bytes, size: 40}
		value := d.record(256 << 10)
		source := d.any()
		took, steps, _ := costOf(source, value)
		if took > time.Second && took > time.Duration(steps)*slowStep {
			t.Fatalf("%s took %v for %d steps", source, took, steps)
		}
	})
}

// costOf evaluates as one record's decision does: once to a value, once to what a
// digest is made of, under the default limits.
func costOf(source string, value []byte) (took time.Duration, steps int64, err error) {
	s := NewScope(Options{})
	e, _ := s.Expression(source)
	if e == nil {
		return 0, 0, nil
	}
	in, rec := s.NewInput(), orderRecord("")
	rec.Value, rec.Headers = value, []handlers.Header{{Key: "h", Value: value[:min(len(value), 1000)]}}
	if err := in.Load(rec); err != nil {
		return 0, 0, err
	}
	start := cpuTime()
	_, err = e.Value(in)
	_, wrong := e.AppendCanonical(nil, in)
	err = errors.Join(err, wrong)
	return cpuTime() - start, in.steps, err
}

// cpuTime is what this process has used, so that what else a machine does is not
// measured. What tests do beside is.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
