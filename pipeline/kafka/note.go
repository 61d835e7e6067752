package kafka

import (
	"encoding/hex"
	"strings"
)

// notePrefix tells our commits from those that other tools make.
const notePrefix = "millrace/1 "

// note is what stands beside a committed offset: which incarnation of the topic
// it belongs to, and which memory of the idempotency store.
type note struct {
	topicID [16]byte
	epoch   string
}

// String is the note as the group keeps it.
func (n note) String() string {
	return notePrefix + hex.EncodeToString(n.topicID[:]) + " " + n.epoch
}

// parseNote reads a note; ok is false for a commit that another tool made.
func parseNote(text string) (n note, ok bool) {
	rest, ok := strings.CutPrefix(text, notePrefix)
	if !ok {
		return note{}, false
	}
	id, epoch, ok := strings.Cut(rest, " ")
	if !ok || hex.DecodedLen(len(id)) != len(n.topicID) {
		return note{}, false
	}
	if _, err := hex.Decode(n.topicID[:], []byte(id)); err != nil {
		return note{}, false
	}
	n.epoch = epoch
	return n, true
}

// otherTopic tells whether the commit belongs to another incarnation of the
// topic than id. Brokers without topic ids tell nothing.
func (n note) otherTopic(id [16]byte) bool {
	none := [16]byte{}
	return n.topicID != none && id != none && n.topicID != id
}
