package letters

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
)

// ResolutionVersion is the format that EncodeResolution writes. It grows only where a
// reader of the version before would go wrong.
const ResolutionVersion = 1

// Resolution is what became of a dead letter. Resolutions lie in a compacted topic
// beside the letters', keyed by the letter, so that of each the last one counts and
// lives as long as the letter.
type Resolution struct {
	Letter Place
	How    Result
	// Time is when it was resolved, By by whom, Job in which job: empty where it was
	// none.
	Time    time.Time
	By, Job string
}

// Place is where a dead letter lies.
type Place struct {
	// TopicID is the broker's id of the dead-letter topic, so that a letter of a later
	// topic of the same name is another one; all zero where the broker has no ids.
	TopicID   [16]byte
	Partition int32
	Offset    int64
}

// Result is how a dead letter was resolved.
type Result string

// The results. A letter that failed again is replaced by one of the next round; a
// duplicate is one whose key another record has done meanwhile. What is filtered,
// unmatched or dropped was decided anew, and today's file makes nothing of it.
const (
	Delivered Result = "delivered"
	Duplicate Result = "duplicate"
	Replaced  Result = "replaced"
	Discarded Result = "discarded"
	Filtered  Result = "filtered"
	Unmatched Result = "unmatched"
	Dropped   Result = "dropped"
)

// ErrSourceGone says of a letter that lacks a part of its record that its source does
// not hold that any more.
var ErrSourceGone = errors.New("the letter does not hold its record whole, and its source does not hold it any more")

// resolutionValue is the JSON that a resolution's value is.
type resolutionValue struct {
	Version int    `json:"version"`
	How     Result `json:"how"`
	Time    string `json:"time"`
	By      string `json:"by,omitempty"`
	Job     string `json:"job,omitempty"`
}

// EncodeResolution makes the record to write, without its topic.
func EncodeResolution(r Resolution) *handlers.Record {
	id := base64.RawURLEncoding.EncodeToString(r.Letter.TopicID[:])
	// Text and a number can't make Marshal fail.
	value, _ := json.Marshal(resolutionValue{ResolutionVersion, r.How, r.Time.UTC().Format(timeLayout), r.By, r.Job})
	return &handlers.Record{Key: fmt.Appendf(nil, "%s/%d/%d", id, r.Letter.Partition, r.Letter.Offset), Value: value}
}

// DecodeResolution reads a resolution; the record must not be a tombstone, which
// takes one back. Where the error tells that the value can't be read, such as that of a
// later version, Letter is still the letter: the form of keys never changes, and
// whatever is said of it, it was resolved. Where the key can't be read, the error is
// ErrNoResolution.
func DecodeResolution(r *handlers.Record) (Resolution, error) {
	letter, ok := ResolvedLetter(r)
	if !ok {
		return Resolution{}, fmt.Errorf("%w: its key is %q", ErrNoResolution, r.Key)
	}
	resolution := Resolution{Letter: letter}
	var v resolutionValue
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return resolution, fmt.Errorf("how a dead letter was resolved: %w", err)
	}
	if v.Version > ResolutionVersion {
		return resolution, fmt.Errorf("how a dead letter was resolved has version %d of its format, "+
			"and this Millrace reads up to %d", v.Version, ResolutionVersion)
	}
	switch v.How {
	case Delivered, Duplicate, Replaced, Discarded, Filtered, Unmatched, Dropped:
	default:
		return resolution, fmt.Errorf("there is no such way to resolve a dead letter: %q", v.How)
	}
	at, err := time.Parse(time.RFC3339, v.Time)
	if err != nil {
		return resolution, fmt.Errorf("when a dead letter was resolved: %w", err)
	}
	resolution.How, resolution.Time, resolution.By, resolution.Job = v.How, at.UTC(), v.By, v.Job
	return resolution, nil
}

// ErrNoResolution is what DecodeResolution returns of a record of another kind.
var ErrNoResolution = errors.New("the record resolves no dead letter")

// ResolvedLetter is the letter that a record of the topic of resolutions is about,
// also where it is a tombstone, and whether it is about one.
func ResolvedLetter(r *handlers.Record) (Place, bool) {
	parts := strings.Split(string(r.Key), "/")
	if len(parts) != 3 {
		return Place{}, false
	}
	var p Place
	id, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	partition, err2 := strconv.ParseInt(parts[1], 10, 32)
	offset, err3 := strconv.ParseInt(parts[2], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil || len(id) != len(p.TopicID) || partition < 0 || offset < 0 {
		return Place{}, false
	}
	p.TopicID, p.Partition, p.Offset = [16]byte(id), int32(partition), offset
	return p, true
}
