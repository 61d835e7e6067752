package plan

import (
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
)

// Test is one test of a configuration's `tests:`, ready to run by package
// scenario.
type Test struct {
	// Name is unique enough for people; where the file has none it is made of
	// the pipeline's.
	Name     string
	Path     diag.Path
	Pipeline *Pipeline
	// Env are the variables that the configuration is compiled with for this
	// test, beside those of the environment.
	Env      map[string]*string
	Records  []TestRecord
	Expect   []Expectation // one a record
	Scripts  map[string][]ScriptStep
	Crash    Crash
	Together bool

	Source *diag.Source
}

// Place is where in the file the value at path stands, or what holds it.
func (t *Test) Place(path diag.Path) diag.Place { return t.Source.Value(path) }

// TestRecord is one record of a test.
type TestRecord struct {
	Path diag.Path
	// Record is complete, but that its Time is zero where the test's clock
	// gives it.
	Record *handlers.Record
	// After is how long the clock runs on before it arrives.
	After time.Duration
}

// Expectation is what is expected of a record, of a write of it, or of a dead
// letter. What it does not name is not compared.
type Expectation struct {
	Path  diag.Path
	Named []Named
	// Writes are nil where they are not named; the same for DeadLetters.
	Writes, DeadLetters []Expectation
}

// Named is one thing that an expectation names, and its value as JSON.
type Named struct {
	Name string
	Path diag.Path
	JSON []byte
}

// ScriptStep is what a sink answers to some of its calls.
type ScriptStep struct {
	Path   diag.Path
	Answer Answer
	// Status goes with AnswerFail, 0 for none.
	Status int
	// Rate goes with AnswerRate.
	Rate  handlers.Rate
	Times int
}

// Answer is how a scripted sink takes a call.
type Answer string

// The answers that a script can name.
const (
	// AnswerOK takes the call.
	AnswerOK Answer = "ok"
	// AnswerFail refuses the record; with a status, what the sink makes of it.
	AnswerFail Answer = "fail"
	// AnswerTimeout does not answer in time.
	AnswerTimeout Answer = "timeout"
	// AnswerRefused lets no connection be made.
	AnswerRefused Answer = "refused"
	// AnswerReset loses the connection before the answer.
	AnswerReset Answer = "reset"
	// AnswerUnknown leaves open in another way whether the call took effect.
	AnswerUnknown Answer = "unknown"
	// AnswerRate takes so many calls in a second from then on, and answers the
	// others 429.
	AnswerRate Answer = "rate"
)

// Answers are all of them.
func Answers() []string {
	return []string{string(AnswerOK), string(AnswerFail), string(AnswerTimeout), string(AnswerRefused), string(AnswerReset), string(AnswerUnknown), string(AnswerRate)}
}

// CrashPoint is where a test's process dies.
type CrashPoint string

// The points of a crash.
const (
	// CrashAfterClaim is between a claim and the sink's call.
	CrashAfterClaim CrashPoint = "after_claim"
	// CrashAfterWrite is after a sink took a call, and before its confirm.
	CrashAfterWrite CrashPoint = "after_write"
	// CrashAfterConfirm is after a confirm, and before the offset moves.
	CrashAfterConfirm CrashPoint = "after_confirm"
)

// Crash is where a test's process dies.
type Crash struct {
	Path  diag.Path
	Point CrashPoint
	// Times is how often it comes there before it dies, the last included.
	Times int
}

// CrashPoints are all of them.
func CrashPoints() []string {
	return []string{string(CrashAfterClaim), string(CrashAfterWrite), string(CrashAfterConfirm)}
}
