package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Limits are what all expressions of one record may cost together, of an ordinary
// one: see For. Both are counted from the record and the expressions alone, so that
// a record costs the same on every machine.
type Limits struct {
	// Steps is how much work they may do. None takes longer than some 2 ns.
	Steps int64
	// Bytes is how much they may make: values read from JSON, text, lists.
	Bytes int64
}

// DefaultLimits hold where none are set: about a tenth of a second of work.
func DefaultLimits() Limits { return Limits{Steps: 50_000_000, Bytes: 64 << 20} }

// ordinary is the size up to which a record may cost as much as any other.
const ordinary = 1 << 20

// For is what a record may cost whose value has size bytes. To read all of it and to
// write it again is work that each byte makes, and no fault: a larger one may take as
// many times as many steps as it is larger than ordinary, so that a byte costs no more
// in it than in others. Of bytes it may make a quarter more for each time: a dense
// value that is read takes ten bytes for each of its own, and four to be written.
func (l Limits) For(size int) Limits {
	times := float64(max(size, ordinary)) / ordinary
	grown := func(limit int64, by float64) int64 { return int64(min(float64(limit)*by, math.MaxInt64/4)) }
	return Limits{Steps: grown(l.Steps, times), Bytes: grown(l.Bytes, (3+times)/4)}
}

// ErrTooCostly is within the error of an evaluation that met the Limits. What
// else is evaluated on that record meets them too.
var ErrTooCostly = errors.New("too costly")

// account is what the evaluations of one record have cost so far. Everything
// that does work or makes something in proportion to a record charges it: calls
// by themselves (see call), loops by their bodies (see weight), and what walks
// deeper than that as it goes.
type account struct {
	// base are the limits of an ordinary record, limits those of this one.
	base, limits Limits
	steps, bytes int64
}

// step charges work, before it is done.
func (a *account) step(n int) {
	if a.steps += int64(n); a.steps > a.limits.Steps {
		a.over()
	}
}

// made charges bytes, and the work of making them.
func (a *account) made(n int) {
	a.bytes += int64(n)
	a.steps += int64(n / bytesAStep)
	if a.bytes > a.limits.Bytes || a.steps > a.limits.Steps {
		a.over()
	}
}

// room fails where n more bytes could not be made: for what is large at once, and
// charged when it is there.
func (a *account) room(n int) {
	if a.bytes+int64(n) > a.limits.Bytes {
		a.made(n)
	}
}

// sorting charges putting n things in order that have so many bytes of text.
func (a *account) sorting(n, text int) {
	a.step(bits.Len(uint(n)) * (n*stepsOfCompare + text/bytesAStep))
}

func accountOf(l Limits) account { return account{base: l, limits: l} }

func (a *account) over() { panic(a.exceeded()) }

func (a *account) exceeded() error {
	record := "one record"
	if a.limits != a.base {
		record = "a record of its size"
	}
	switch {
	case a.bytes > a.limits.Bytes:
		return &failure{fmt.Sprintf("the expressions make more than %d bytes, which limits.bytes allows %s",
			a.limits.Bytes, record), ErrTooCostly}
	case a.steps > a.limits.Steps:
		return &failure{fmt.Sprintf("the expressions take more than %d steps, which limits.steps allows %s",
			a.limits.Steps, record), ErrTooCostly}
	default:
		return nil
	}
}

// spend charges a weight where no VM runs.
func (a *account) spend(w weight) error {
	a.steps += int64(w.steps + w.bytes/bytesAStep)
	a.bytes += int64(w.bytes)
	return a.exceeded()
}

// What work is charged with, measured (see BenchmarkWorst).
const (
	// Bytes that are made, and bytes that are only scanned, in one step.
	bytesAStep   = 4
	scannedAStep = 32
	// A node of a program by itself, a call of a function, an item of a list that
	// is written, an entry of an object.
	stepsOfNode  = 3
	stepsOfCall  = 30
	stepsOfItem  = 3
	stepsOfEntry = 60
	// stepsOfDecoded and stepsOfContainer are reading a value of JSON, and what a
	// list or an object takes beside.
	stepsOfDecoded   = 28
	stepsOfContainer = 40
	// stepsOfValue is one value of a list or an object that is looked through.
	stepsOfValue   = 12
	stepsOfCompare = 12
	// stepsOfJSON is writing a value that is no text: a fraction takes longest.
	stepsOfJSON = 60
	// stepsOfTime is reading or writing a time, but for its text.
	stepsOfTime = 200
	// stepsOfMatch is a match by itself, stepsOfInstructions two instructions of its
	// pattern at one byte of the text.
	stepsOfMatch        = 100
	stepsOfInstructions = 6
	// stepsOfEscaped is a byte of JSON text that holds escapes.
	stepsOfEscaped = 4
	// stepsOfHash is a hash by itself, stepsOfHashed a byte of it.
	stepsOfHash   = 300
	stepsOfHashed = 2
	// stepsOfLetter is a byte of text whose letters beyond ASCII are looked up.
	stepsOfLetter = 7
	// stepsOfFraction is reading a number that is none of 64 bits, or at first sight,
	// stepsOfDigits one of many digits, or writing 309 of them, stepsOfTiny reading
	// one such as 2e-324.
	stepsOfFraction = 100
	stepsOfDigits   = 5000
	stepsOfTiny     = 40_000

	bytesOfCall  = 8
	bytesOfItem  = 24
	bytesOfEntry = 96
)

// look charges a call for looking at v, but not into what v holds.
func (a *account) look(v any) {
	switch v := v.(type) {
	case string:
		a.step(len(v))
	case []any:
		a.step(len(v))
	case map[string]any:
		a.step(len(v))
	}
}

// make charges a call for what it has made.
func (a *account) make(v any) any {
	switch v := v.(type) {
	case string:
		a.made(len(v))
	case []any:
		a.made(bytesOfItem * len(v))
	case map[string]any:
		a.made(bytesOfEntry * len(v))
	}
	return v
}

// weigh fails for what is nested too deep or has a half in it, since who walks
// through a value reads it, and charges the walk. Lists and objects that an
// expression makes may hold one another many times over, so that a few steps make
// one without end: [a, a] of [b, b] of [c, c].
func (a *account) weigh(v any) size {
	w := weighing{account: a}
	w.value(v, 0)
	// All is walked through first: what is met before what would be for the order
	// of fields to say.
	switch {
	case w.deep:
		failf("the expression makes a value nested deeper than %d", maxDepth)
	case w.half:
		failf("the value holds %s", halfText)
	}
	return w.size
}

// size is how many values a value holds, how many bytes of text, and how many
// numbers beyond 64 bits.
type size struct{ values, text, bigs int }

type weighing struct {
	*account
	size
	deep, half bool
}

func (w *weighing) value(v any, depth int) {
	if depth > maxDepth {
		w.deep = true
		return
	}
	w.values++
	switch v := v.(type) {
	case string:
		w.text += len(v)
	case json.Number:
		w.bigs++
		w.text += len(v)
	case half:
		w.half = true
	case []any:
		w.step(stepsOfValue * len(v))
		for _, e := range v {
			w.value(e, depth+1)
		}
	case map[string]any:
		w.step(2 * stepsOfValue * len(v))
		for k, e := range v {
			w.text += len(k)
			w.value(e, depth+1)
		}
	}
}

// Aside runs f, whose evaluations cost the record nothing and may cost as much
// as it: for who only shows what was evaluated.
func (in *Input) Aside(f func()) {
	each := []*input{&in.input}
	if in.original != nil && in.original != &in.input {
		each = append(each, in.original)
	}
	account := in.account
	before := *account
	account.steps, account.bytes = 0, 0
	for _, one := range each {
		// What f reads is not there yet for the record.
		slots, headers := slices.Clone(one.slots), one.headers
		defer func() { copy(one.slots, slots); one.headers = headers }()
	}
	defer func() { *account = before }()
	f()
}

// aside is an input for what is computed without a record.
func aside() *input {
	in := &input{own: accountOf(DefaultLimits())}
	in.account = &in.own
	return in
}
