package idempotency

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"sync/atomic"
)

// Identity is the ID of the effect that the key stands for in one sink of one
// pipeline. It is the SHA-256 of its parts, each preceded by its length, so
// that no two different lists of parts meet. Another generation starts the keys
// anew. What it returns for the same parts never changes: stores keep it.
func Identity(pipeline, sink string, generation int, key string) ID {
	var room [256]byte
	parts := appendOwner(room[:0], pipeline, sink, generation)
	parts = appendPart(parts, key)
	return sha256.Sum256(parts)
}

// Coordinates is the ID of the effect of a record without a key: its place in
// its topic stands for it. The topic's ID tells a topic from its namesake that
// was deleted before.
func Coordinates(pipeline, sink string, generation int, topicID [16]byte, partition int32, offset int64) ID {
	var room [256]byte
	parts := appendOwner(room[:0], pipeline, sink, generation)
	parts = appendPart(parts, string(topicID[:]))
	parts = appendNumber(parts, int64(partition))
	parts = appendNumber(parts, offset)
	return sha256.Sum256(parts)
}

func appendOwner(parts []byte, pipeline, sink string, generation int) []byte {
	parts = appendPart(parts, pipeline)
	parts = appendPart(parts, sink)
	return appendNumber(parts, int64(generation))
}

func appendPart(parts []byte, part string) []byte {
	parts = binary.BigEndian.AppendUint64(parts, uint64(len(part)))
	return append(parts, part...)
}

func appendNumber(parts []byte, n int64) []byte {
	parts = binary.BigEndian.AppendUint64(parts, 8)
	return binary.BigEndian.AppendUint64(parts, uint64(n))
}

// Within is the ID of the same effect where it is made once more on purpose, for a job:
// another for each.
func (id ID) Within(job string) ID {
	var room [128]byte
	return sha256.Sum256(appendPart(appendPart(room[:0], string(id[:])), job))
}

// external is base32 in lower case.
var external = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// External is the ID as a receiver sees it in Idempotency-Key: 26 lowercase
// base32 characters made from its first 16 bytes.
func (id ID) External() string {
	return external.EncodeToString(id[:16])
}

// String is the whole ID in hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// DigestOf is the digest of a record's content.
func DigestOf(content []byte) Digest { return sha256.Sum256(content) }

// String is the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Run hands out the tokens of one run of a process. It may be used
// concurrently.
type Run struct {
	id  [16]byte
	seq atomic.Uint64
}

// NewRun starts a run with a random id.
func NewRun() *Run {
	run := &Run{}
	// crypto/rand.Read ends the process rather than return an error.
	_, _ = rand.Read(run.id[:])
	return run
}

// Next is a token that was not handed out before, by this run or any other.
func (r *Run) Next() Token { return Token{Run: r.id, Seq: r.seq.Add(1)} }

// ID is the run's id in hexadecimal, for Holder.
func (r *Run) ID() string { return hex.EncodeToString(r.id[:]) }

// String is the token as logs show it.
func (t Token) String() string {
	return hex.EncodeToString(t.Run[:]) + "-" + strconv.FormatUint(t.Seq, 10)
}
