package handlers

import (
	"context"
	"time"
)

// Identity is which effect a call is, and how it is guarded: what a Keeper needs in
// order to keep the keys of its effects itself.
type Identity struct {
	Pipeline, Sink string
	// Generation and Key are those of the configuration and of the record; where the
	// pipeline has no keys they are 1 and empty, and ID stands for the record's place.
	Generation int
	Key        string
	// ID is all of that in one; Call.ID is its short form for receivers.
	ID [32]byte
	// Digest tells one content of a key from another, all zero without keys.
	Digest [32]byte
	// TTL is how long a key is remembered, 0 without keys.
	TTL time.Duration
	// OnConflict is what to do about a key that is done with other content:
	// duplicate, dead_letter or process. OnUncertain is retry or park, for an effect
	// that may have happened. Both are empty without keys.
	OnConflict, OnUncertain string
	// Redrive tells that the call is that of a dead letter: its effect is to be made also
	// where it is Parked.
	Redrive bool
}

// Keeper is implemented by sinks that keep the keys of their effects themselves, such
// as in a table that is written in one transaction with the effect: exactly once, also
// across crashes. Its Write does nothing for a call whose ID is done, and sets the
// call's Repeated; of one whose ID is done with another digest it does what OnConflict
// says, with dead_letter as a Permanent failure. Its calls have an Identity.
//
// The pipeline's own key store guards its calls as well, where there is one.
type Keeper interface {
	// Kept returns what is known of each ID, in their order, and nil for those that
	// nothing is known of. It changes nothing, may be called concurrently with all
	// else, and returns when ctx ends.
	Kept(ctx context.Context, ids [][32]byte) ([]*Kept, error)
	// Forget deletes what is known of the IDs, so that their effects may happen again.
	Forget(ctx context.Context, ids [][32]byte) error
}

// Kept is what a Keeper knows of one effect.
type Kept struct {
	// Parked tells that the effect may have happened and is not to be made by
	// anything but a redrive; else it has happened.
	Parked bool
	Digest [32]byte
	// At is when it happened or was parked, Expires when that is forgotten.
	At, Expires time.Time
	// Answer is what the call's Answer was.
	Answer string
}
