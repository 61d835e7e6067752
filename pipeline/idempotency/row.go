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
	buf = AppendProvenance(buf, r.Origin, r.Holder)
	return appendText(buf, r.Answer, maxAnswer)
}

// AppendProvenance appends the durable form of what only people read of a row,
// for stores with a row format of their own. It is bounded as a row is.
func AppendProvenance(buf []byte, o Origin, h Holder) []byte {
	buf = appendText(buf, o.Topic, maxTopic)
	buf = binary.AppendVarint(buf, int64(o.Partition))
	buf = binary.AppendVarint(buf, o.Offset)
	buf = appendText(buf, h.Host, maxHost)
	buf = binary.AppendVarint(buf, int64(h.PID))
	return appendText(buf, h.Run, maxRun)
}

// DecodeProvenance reads what AppendProvenance wrote, and nothing else.
func DecodeProvenance(data []byte) (Origin, Holder, error) {
	d := decoder{rest: data}
	o, h := d.provenance()
	if d.bad || len(d.rest) > 0 {
		return Origin{}, Holder{}, errRow
	}
	return o, h, nil
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
		return nil,
			fmt.Errorf("the stored row has format version %d, this program knows up to %d: a newer one wrote it",
				data[0], rowVersion)
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
	r.Origin, r.Holder = d.provenance()
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

func (d *decoder) provenance() (o Origin, h Holder) {
	o.Topic = d.text(maxTopic)
	o.Partition = int32(d.within(math.MinInt32, math.MaxInt32))
	o.Offset = d.varint()
	h.Host = d.text(maxHost)
	h.PID = int(d.within(math.MinInt, math.MaxInt))
	h.Run = d.text(maxRun)
	return o, h
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
