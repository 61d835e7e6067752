package redis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// A row is packed as row.lua packs it: version, state, flags, token, digest, six
// times and durations in microseconds, then the answer with its length before
// it, then what only people read.
//
// That of a plain claim is packed here, when nobody knows yet when Redis will take
// it. So it is marked, and holds no time that is more than a bound: the scripts
// derive when it was claimed from when its key ends. To a process of a release that
// knows no mark it is a claim whose lease is a little longer.
const (
	rowVersion = 1
	flagPlain  = 2
	tokenSize  = 24
	digestSize = 32
	answerAt   = 3 + tokenSize + digestSize + 6*8
	// rowSize is room enough for most rows.
	rowSize = 192
)

var errRow = errors.New("the stored row is damaged")

// appendPlain packs the row of a claim that is sent at a time, and may be taken
// until another.
func appendPlain(row []byte, c *idempotency.Claim, now, late int64) []byte {
	row = append(row, rowVersion, byte(idempotency.Claimed), flagPlain)
	row = append(appendToken(row, c.Token), c.Digest[:]...)
	for _, t := range [...]int64{now, 0, late + microsOf(c.Lease), late + lifeOf(c)} {
		row = binary.BigEndian.AppendUint64(row, uint64(t))
	}
	return appendTail(row, c, "")
}

func appendToken(row []byte, t idempotency.Token) []byte {
	return binary.BigEndian.AppendUint64(append(row, t.Run[:]...), t.Seq)
}

// appendTail packs what comes behind the times.
func appendTail(row []byte, c *idempotency.Claim, answer string) []byte {
	row = binary.BigEndian.AppendUint64(row, uint64(microsOf(c.Lease)))
	row = binary.BigEndian.AppendUint64(row, uint64(microsOf(c.TTL)))
	row = append(append(row, byte(len(answer))), answer...)
	return idempotency.AppendProvenance(row, c.Origin, c.Holder)
}

// lifeOf is how long the row of a claim lives, in microseconds.
func lifeOf(c *idempotency.Claim) int64 { return microsOf(max(c.TTL, idempotency.Forget)) }

func microsOf(d time.Duration) int64 { return max(0, d.Microseconds()) }

// unpack reads a row.
func unpack(raw string) (*idempotency.Row, error) {
	if raw != "" && raw[0] != rowVersion {
		return nil, newerRow(int(raw[0]))
	}
	if len(raw) < answerAt+1 {
		return nil, errRow
	}
	row := &idempotency.Row{State: idempotency.State(raw[1]), Uncertain: raw[2] == 1}
	copy(row.Token.Run[:], raw[3:19])
	row.Token.Seq = binary.BigEndian.Uint64([]byte(raw[19:27]))
	copy(row.Digest[:], raw[27:59])
	field := func(i int) int64 { return int64(binary.BigEndian.Uint64([]byte(raw[59+8*i:]))) }
	row.ClaimedAt, row.ConfirmedAt = instant(field(0)), instant(field(1))
	row.Deadline, row.Expires = instant(field(2)), instant(field(3))
	row.Lease, row.TTL = time.Duration(field(4))*time.Microsecond, time.Duration(field(5))*time.Microsecond
	end := answerAt + 1 + int(raw[answerAt])
	if len(raw) < end {
		return nil, errRow
	}
	row.Answer = raw[answerAt+1 : end]
	var err error
	row.Origin, row.Holder, err = idempotency.DecodeProvenance([]byte(raw[end:]))
	if err != nil {
		return nil, err
	}
	return row, nil
}

// isPlain tells of a row's packed form whether its times are bounds.
func isPlain(raw string) bool { return raw[1] == byte(idempotency.Claimed) && raw[2] == flagPlain }

// taken puts the times of a plain claim's row right, by when its key ends in
// milliseconds. One that was taken too late keeps its bounds, since it may as well
// be that the key has another row by now.
func taken(row *idempotency.Row, ends int64) {
	life := max(row.TTL, idempotency.Forget)
	at := time.UnixMilli(ends).UTC().Add(-life)
	if late := row.Expires.Add(-life); ends > 0 && !at.After(late.Add(margin)) {
		row.ClaimedAt, row.Expires = at, at.Add(life)
		if deadline := at.Add(row.Lease); deadline.Before(row.Deadline) {
			row.Deadline = deadline
		}
	}
}

func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func newerRow(version int) error {
	return fmt.Errorf("the stored row has format version %d, this program knows up to %d: a newer one wrote it",
		version, rowVersion)
}
