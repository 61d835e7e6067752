package idempotency

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// rowVersion is the first byte of a durable row. A change of the format raises
// it and keeps the reading of the older ones.
const rowVersion = 1

// MaxRow bounds the durable form of a row, in bytes.
const MaxRow = 1024

// What a row keeps of its texts, in bytes. A topic's name has at most 249.
const (
	maxTopic = 249
	maxHost  = 255
	maxRun   = 64
)

const flagUncertain = 1

// errRow says that stored bytes are not a row.
var errRow = errors.New("the stored row is damaged")

// AppendRow appends the durable form of a row to buf: a version byte, then its
// fields. Texts that are too long are cut; times are kept to the nanosecond
// between the years 1678 and 2262.
func AppendRow(buf []byte, r *Row) []byte {
	buf = append(buf, rowVersion, byte(r.State), flags(r))
	buf = append(buf, r.Token.Run[:]...)
	buf = binary.AppendUvarint(buf, r.Token.Seq)
	buf = append(buf, r.Digest[:]...)
	for _, t := range [...]time.Time{r.ClaimedAt, r.ConfirmedAt, r.Deadline, r.Expires} {
		buf = binary.AppendVarint(buf, nanos(t))
	}
	buf = binary.AppendVarint(buf, int64(r.Lease))
	buf = binary.AppendVarint(buf, int64(r.TTL))
	buf = appendText(buf, r.Origin.Topic, maxTopic)
	buf = binary.AppendVarint(buf, int64(r.Origin.Partition))
	buf = binary.AppendVarint(buf, r.Origin.Offset)
	buf = appendText(buf, r.Holder.Host, maxHost)
	buf = binary.AppendVarint(buf, int64(r.Holder.PID))
	buf = appendText(buf, r.Holder.Run, maxRun)
	return appendText(buf, r.Answer, maxAnswer)
}

// Encode is the durable form of a row, never longer than MaxRow.
func Encode(r *Row) []byte { return AppendRow(make([]byte, 0, 192), r) }

// Decode reads the durable form of a row; nothing of data is kept. It refuses
// what Encode cannot have written, and versions that are newer than the program.
func Decode(data []byte) (*Row, error) {
	switch {
	case len(data) == 0 || len(data) > MaxRow:
		return nil, errRow
	case data[0] == 0:
		return nil, errRow
	case data[0] > rowVersion:
		return nil, fmt.Errorf("the stored row has format version %d, this program knows up to %d: a newer one wrote it", data[0], rowVersion)
	}
	d := decoder{rest: data[1:]}
	r := &Row{State: State(d.octet())}
	set := d.octet()
	r.Uncertain = set&flagUncertain != 0
	d.fill(r.Token.Run[:])
	r.Token.Seq = d.uvarint()
	d.fill(r.Digest[:])
	for _, t := range [...]*time.Time{&r.ClaimedAt, &r.ConfirmedAt, &r.Deadline, &r.Expires} {
		*t = instant(d.varint())
	}
	r.Lease = time.Duration(d.varint())
	r.TTL = time.Duration(d.varint())
	r.Origin.Topic = d.text(maxTopic)
	r.Origin.Partition = int32(d.within(math.MinInt32, math.MaxInt32))
	r.Origin.Offset = d.varint()
	r.Holder.Host = d.text(maxHost)
	r.Holder.PID = int(d.within(math.MinInt, math.MaxInt))
	r.Holder.Run = d.text(maxRun)
	r.Answer = d.text(maxAnswer)
	if d.bad || len(d.rest) > 0 || set&^flagUncertain != 0 || r.State < Claimed || r.State > ParkedState {
		return nil, errRow
	}
	return r, nil
}

func flags(r *Row) byte {
	if r.Uncertain {
		return flagUncertain
	}
	return 0
}

// noTime stands for the zero time, whose nanoseconds do not fit.
const noTime = math.MinInt64

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixNano()
}

func instant(n int64) time.Time {
	if n == noTime {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func appendText(buf []byte, text string, size int) []byte {
	text = clip(text, size)
	buf = binary.AppendUvarint(buf, uint64(len(text)))
	return append(buf, text...)
}

// decoder takes a row apart; once bad, it gives zeros.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.rest) {
		d.bad = true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) octet() byte {
	if taken := d.take(1); taken != nil {
		return taken[0]
	}
	return 0
}

func (d *decoder) fill(into []byte) { copy(into, d.take(len(into))) }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.take(n)
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.take(n)
	return v
}

func (d *decoder) within(least, most int64) int64 {
	v := d.varint()
	if v < least || v > most {
		d.bad = true
		return 0
	}
	return v
}

func (d *decoder) text(size int) string {
	n := d.uvarint()
	if n > uint64(size) {
		d.bad = true
		return ""
	}
	return string(d.take(int(n)))
}
