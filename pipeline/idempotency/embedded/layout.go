package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// The database holds three kinds of keys: k/<hash> is a row, x/<hour><hash>
// says in which hour a row may expire, m/… is about the store itself.

// key is what the database knows an ID by: its first 16 bytes, which is also
// what receivers see of it.
type key [16]byte

func keyOf(id idempotency.ID) key { return key(id[:16]) }

func (k key) compare(other key) int { return bytes.Compare(k[:], other[:]) }

// external is what receivers see of the key.
func (k key) external() string {
	var id idempotency.ID
	copy(id[:], k[:])
	return id.External()
}

func (k key) row() []byte { return append([]byte("k/"), k[:]...) }

func (k key) expiry(hour uint32) []byte {
	return append(binary.BigEndian.AppendUint32([]byte("x/"), hour), k[:]...)
}

// ofRow takes a row's key apart.
func ofRow(data []byte) (k key, ok bool) {
	if len(data) != 2+len(k) {
		return k, false
	}
	copy(k[:], data[2:])
	return k, true
}

// ofExpiry takes an expiry key apart.
func ofExpiry(data []byte) (k key, ok bool) {
	if len(data) != 2+4+len(k) {
		return k, false
	}
	copy(k[:], data[6:])
	return k, true
}

// hourOf is the hour of the expiry index that a time falls into.
func hourOf(t time.Time) uint32 {
	hours := t.Unix() / 3600
	return uint32(min(max(hours, 0), 1<<32-1))
}

// get reads a value, nil where there is none.
func get(db *pebble.DB, at []byte) ([]byte, error) {
	value, closer, err := db.Get(at)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	copied := append([]byte{}, value...)
	return copied, closer.Close()
}
