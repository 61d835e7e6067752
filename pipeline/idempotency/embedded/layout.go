package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// The database holds three kinds of keys: k/<hash> is a row, x/<hour><group><part>
// lists hashes whose rows may expire in an hour, m/… is about the store itself.
// Releases before wrote x/<hour><hash> for each row, which is read as it was.

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

// hourKey begins all of an hour's entries in the expiry index.
func hourKey(hour uint32) []byte { return binary.BigEndian.AppendUint32([]byte("x/"), hour) }

// expiryKey is one entry of a group's that lists what may expire in an hour.
func expiryKey(hour uint32, group uint64, part int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(hourKey(hour), group), uint32(part))
}

// ofRow takes a row's key apart.
func ofRow(data []byte) (k key, ok bool) {
	if len(data) != 2+len(k) {
		return k, false
	}
	copy(k[:], data[2:])
	return k, true
}

// ofExpiry returns the hashes of an entry of the expiry index.
func ofExpiry(at, value []byte) []key {
	if len(at) == len(hourKey(0))+len(key{}) {
		return []key{key(at[len(hourKey(0)):])}
	}
	keys := make([]key, 0, len(value)/len(key{}))
	for hash := range slices.Chunk(value, len(key{})) {
		if len(hash) == len(key{}) {
			keys = append(keys, key(hash))
		}
	}
	return keys
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
