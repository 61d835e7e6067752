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
const (
	rowVersion = 1
	answerAt   = 3 + 24 + 32 + 6*8
)

var errRow = errors.New("the stored row is damaged")

// unpack reads a row.
func unpack(raw string) (*idempotency.Row, error) {
	if len(raw) < answerAt+1 {
		return nil, errRow
	}
	if raw[0] != rowVersion {
		return nil, newerRow(int(raw[0]))
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
