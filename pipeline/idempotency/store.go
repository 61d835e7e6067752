// Package idempotency guards effects: a key is claimed before a sink is called
// and confirmed only after the sink acknowledged. It holds the state machine's
// types, the durable row format and the contract of a Store; the stores are in
// its sub-packages, and storetest is what each of them must pass.
package idempotency

import (
	"context"
	"strings"
	"time"
)

// ID identifies one effect: the SHA-256 of pipeline, sink, generation and key.
type ID [32]byte

// Digest is the SHA-256 of what counts as a record's content.
type Digest [32]byte

// Token tells claims apart: a random run id and a number counted within the run.
// Tokens are compared for equality only. Every claim has one of its own; asking
// again for the same claim, after its answer was lost, is done with the same.
type Token struct {
	Run [16]byte
	Seq uint64
}

// Holder names the process that made a claim, for people to read.
type Holder struct {
	Host string
	PID  int
	Run  string
}

// Origin is the record that a claim was made for.
type Origin struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Override lets a claim through where the state machine would refuse it.
type Override uint8

const (
	// OverConflict claims a confirmed key although its content differs
	// (`on_conflict: process`).
	OverConflict Override = 1 << iota
	// OverParked claims a parked key (a redrive of its dead letter).
	OverParked
)

// Claim asks for the right to cause one effect, and afterwards stands for it.
type Claim struct {
	ID     ID
	Token  Token
	Digest Digest
	Holder Holder
	Origin Origin
	// TTL is how long the key is remembered once it is confirmed.
	TTL time.Duration
	// Lease is how long the claim outlives a holder that went silent.
	Lease time.Duration
	// Durable asks the embedded store to write the claim before it answers, so
	// that a crash is found as uncertain (`on_uncertain: park`). Shared stores
	// always do.
	Durable bool
	// Override lets the claim through where it would be refused.
	Override Override
	// Answer is what the sink said, at most 64 bytes; recorded by Confirm. Extend
	// records what a call met of which nobody knows whether it took effect.
	Answer string
}

// Answer is what a store says to a claim.
type Answer uint8

const (
	// Go means that the key is new and now claimed.
	Go Answer = iota + 1
	// GoUncertain means that the key is now claimed, and that an earlier holder
	// went silent: its effect may have happened.
	GoUncertain
	// Duplicate means that the effect is done: the sink must not be called.
	Duplicate
	// Conflict means that the effect is done, with other content.
	Conflict
	// Busy means that another holder is at it: come back later. Never skip the
	// record and never acknowledge it.
	Busy
	// Parked means that the key waits for a redrive of its dead letter.
	Parked
)

// String is the answer as logs name it.
func (a Answer) String() string {
	switch a {
	case Go:
		return "go"
	case GoUncertain:
		return "go_uncertain"
	case Duplicate:
		return "duplicate"
	case Conflict:
		return "conflict"
	case Busy:
		return "busy"
	case Parked:
		return "parked"
	default:
		return "none"
	}
}

// Verdict is the answer to one claim.
type Verdict struct {
	Answer Answer
	// Row is the key's row as it was found, nil where there was none. For Go
	// and GoUncertain it is what the claim replaced. It is the caller's own.
	Row *Row
}

// TokenState tells whether a claim is still its holder's.
type TokenState uint8

const (
	// Held means that the claim was the caller's and the call took effect.
	Held TokenState = iota + 1
	// Lost means that somebody else holds the key, or finished it: nothing was
	// changed.
	Lost
)

// Settlement is how a claim ends without a confirm.
type Settlement uint8

const (
	// Released forgets the claim: the effect is known not to have happened.
	Released Settlement = iota + 1
	// ParkedAway keeps the key from being claimed by anything but a redrive;
	// its record lies in the dead letters.
	ParkedAway
)

// State is what a row says of its key.
type State uint8

const (
	// Claimed means that a holder is at it, or went silent.
	Claimed State = iota + 1
	// Confirmed means that the effect is done.
	Confirmed
	// ParkedState means that the key waits for a redrive.
	ParkedState
)

// Row is what a store keeps of one key. Its durable form is made by Encode.
type Row struct {
	State       State
	Token       Token
	Holder      Holder
	Origin      Origin
	Digest      Digest
	ClaimedAt   time.Time
	ConfirmedAt time.Time
	// Deadline is when the claim's lease runs out, by the store's clock.
	Deadline time.Time
	// Expires is when the row is forgotten, by the store's clock: for a
	// confirmed key its TTL, for a claimed or parked one max(TTL, 7 d).
	Expires time.Time
	Lease   time.Duration
	TTL     time.Duration
	// Answer is what the sink said, at most 64 bytes: of a claimed or parked key
	// what its first call met of which nobody knows whether it took effect, also
	// where that was another holder's.
	Answer string
	// Uncertain means that the claim took the key over from a holder that went
	// silent, whose effect may have happened.
	Uncertain bool
}

// Store keeps keys. Every call takes a batch, costs one round trip, and answers
// per claim in the order of the batch; an error means that nothing is known of
// any of them. Calls may be concurrent. Time is the store's own, never the
// caller's.
type Store interface {
	// Claim claims keys. The same key twice in one batch is Go and then Busy.
	Claim(ctx context.Context, claims []Claim) ([]Verdict, error)
	// Extend moves the deadlines of held claims one lease into the future, and
	// records their answers where they have one.
	Extend(ctx context.Context, claims []Claim) ([]TokenState, error)
	// Confirm records effects as done, durably, with their answers. A claim
	// that the store has forgotten meanwhile is confirmed all the same; one
	// that another token holds or finished is Lost.
	Confirm(ctx context.Context, claims []Claim) ([]TokenState, error)
	// Settle releases or parks claims that their token still holds.
	Settle(ctx context.Context, claims []Claim, as Settlement) ([]TokenState, error)
}

// Inspector looks at keys and forgets them, on behalf of a person.
type Inspector interface {
	// Get returns the row of each key, nil where there is none.
	Get(ctx context.Context, ids []ID) ([]*Row, error)
	// Delete forgets keys, whatever their state, and tells which there were.
	Delete(ctx context.Context, ids []ID) ([]bool, error)
	// Epoch names the store's memory: another epoch means that it was lost.
	Epoch(ctx context.Context) (string, error)
}

// Lister goes through all keys of a store, a step at a time, so that nobody else
// who uses it waits for long.
type Lister interface {
	// List returns about most keys, those that follow where the step before ended;
	// from is empty for the first one. A key that is there all the time is listed,
	// one that comes or goes meanwhile may be. Those that expired are left out.
	List(ctx context.Context, from string, most int) (Listing, error)
}

// Listing is one step through the keys of a store.
type Listing struct {
	Keys []Listed
	// Next is where the next step begins, empty behind the last one.
	Next string
	// Bytes is what the store takes, on its disk or of its memory; the last step
	// tells it, and 0 means that the store does not know.
	Bytes int64
}

// Listed is one key of a store, which does not keep what it was made of.
type Listed struct {
	// External is the key's ID as receivers see it.
	External string
	Row      *Row
}

// ResetError says that a store lost its memory: it was emptied, or a copy took
// over that lags behind. What was confirmed before may be repeated, so its calls
// return this error until a person accepts the loss.
type ResetError struct {
	// Was and Now are the epochs, with a counter behind a slash where the store has
	// one: the same epoch where the memory went back in time.
	Was, Now string
}

// Error says what happened and what to do.
func (e *ResetError) Error() string {
	was, _, _ := strings.Cut(e.Was, "/")
	if now, _, _ := strings.Cut(e.Now, "/"); was == now {
		return "the key store went back in time (a lagging copy took over?): effects may be repeated; `millrace keys accept-reset` goes on with what is left"
	}
	return "the key store lost its memory: effects may be repeated; `millrace keys accept-reset` goes on with an empty one"
}

// Resetter is a store whose memory may be lost, and which then waits for a
// person. All but AcceptReset neither block nor fail.
type Resetter interface {
	// AcceptReset takes the store's memory as it is now, for every process that
	// uses it.
	AcceptReset(ctx context.Context) error
	// Known is the epoch that this process goes by. While a loss is not yet
	// accepted it is the one before, so that a restart learns of it as well.
	Known() string
	// Remember tells that effects were recorded under an epoch, before this
	// process started or by another one. Where the store has another memory
	// now, that is a loss.
	Remember(epoch string)
	// Reset is the loss that the store waits for a person about, nil for none.
	Reset() *ResetError
}
