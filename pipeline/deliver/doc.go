// Package deliver carries out what decide asks for, one lane batch at a time: claim → write →
// confirm, or a dead letter, and then the record is finished.
//
// deliver.go takes a batch; errand.go holds its writes to one sink, pick.go chooses the next run
// of them, claim.go and guard.go ask the key store, keeper.go keeps claims alive, write.go calls
// the sink through its gate (gate.go, evidence.go, pause.go), chase.go goes on with calls of
// unknown fate during a stop, absence.go sets aside what waits for a part of a sink's system,
// deadletter.go writes what can't be delivered, and pace.go keeps to the rate limit. again.go is
// what differs where records are done once more, redrive.go where they are dead letters, whose
// resolutions resolver.go writes. logbook.go logs what happens.
package deliver
