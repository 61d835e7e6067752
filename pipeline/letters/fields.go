package letters

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

const (
	headerTopic     = prefix + "topic"
	headerVersion   = prefix + "letter-version"
	headerPartition = prefix + "partition"
	headerOffset    = prefix + "offset"
)

// field is one header of a letter.
type field struct {
	name string
	// text is what it says, empty where it is not written; set reads it.
	text func(*Letter) string
	set  func(*Letter, string) error
}

// fields are all headers of a letter, in the order in which they are written. The
// topic is first: there a letter's own headers begin. No name is ever taken away.
func fields() []field {
	return append([]field{
		texts(headerTopic, func(l *Letter) *string { return &l.Record.Topic }),
		{headerVersion, func(*Letter) string { return strconv.Itoa(Version) },
			func(_ *Letter, text string) error { return checkVersion(text) }},
		{prefix + "topic-id", topicID, setTopicID},
		numbers(headerPartition, 32, func(l *Letter) *int32 { return &l.Record.Partition }),
		numbers(headerOffset, 64, func(l *Letter) *int64 { return &l.Record.Offset }),
		times(prefix+"timestamp", func(l *Letter) *time.Time { return &l.Record.Time }),
		texts(prefix+"pipeline", func(l *Letter) *string { return &l.Pipeline }),
		texts(prefix+"sink", func(l *Letter) *string { return &l.Sink }),
		{prefix + "items", items, setItems},
		numbers(prefix+"generation", 0, func(l *Letter) *int { return &l.Generation }),
		texts(prefix+"stage", func(l *Letter) *string { return &l.Stage }),
		texts(prefix+"reason", func(l *Letter) *string { return &l.Reason }),
		texts(prefix+"first-error", func(l *Letter) *string { return &l.FirstError }),
		texts(prefix+"last-error", func(l *Letter) *string { return &l.LastError }),
		numbers(prefix+"attempts", 0, func(l *Letter) *int { return &l.Attempts }),
		numbers(prefix+"round", 0, func(l *Letter) *int { return &l.Round }),
		times(prefix+"first-time", func(l *Letter) *time.Time { return &l.First }),
		times(prefix+"last-time", func(l *Letter) *time.Time { return &l.Last }),
		texts(prefix+"idempotency-key", func(l *Letter) *string { return &l.Key }),
		texts(prefix+"config-digest", func(l *Letter) *string { return &l.ConfigDigest }),
	}, append(append(
		parts("value", func(l *Letter) **Part { return &l.Missing.Value }),
		parts("headers", func(l *Letter) **Part { return &l.Missing.Headers })...),
		parts("key", func(l *Letter) **Part { return &l.Missing.Key })...)...)
}

func find(all []field, name string) *field {
	if !strings.HasPrefix(name, prefix) {
		return nil
	}
	for i := range all {
		if all[i].name == name {
			return &all[i]
		}
	}
	return nil
}

func texts(name string, at func(*Letter) *string) field {
	return field{name, func(l *Letter) string { return *at(l) }, func(l *Letter, text string) error {
		*at(l) = text
		return nil
	}}
}

func numbers[N int | int32 | int64](name string, bits int, at func(*Letter) *N) field {
	return field{name, func(l *Letter) string { return strconv.FormatInt(int64(*at(l)), 10) },
		func(l *Letter, text string) error {
			n, err := strconv.ParseInt(text, 10, bits)
			*at(l) = N(n)
			return err
		}}
}

// timeLayout is RFC 3339 with the milliseconds that Kafka keeps.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// times are RFC 3339; those of years that it does not write, which a record may
// have, are milliseconds.
func times(name string, at func(*Letter) *time.Time) field {
	text := func(l *Letter) string {
		t := at(l).UTC()
		switch {
		case t.IsZero():
			return ""
		case t.Year() < 0 || t.Year() > 9999:
			return strconv.FormatInt(t.UnixMilli(), 10)
		default:
			return t.Format(timeLayout)
		}
	}
	set := func(l *Letter, text string) error {
		t, err := time.Parse(time.RFC3339, text)
		if ms, bad := strconv.ParseInt(text, 10, 64); bad == nil {
			t, err = time.UnixMilli(ms), nil
		}
		*at(l) = t.UTC()
		return err
	}
	return field{name, text, set}
}

// parts are the two headers that stand in for a part of the record.
func parts(name string, at func(*Letter) **Part) []field {
	part := func(l *Letter) *Part {
		if *at(l) == nil {
			*at(l) = &Part{}
		}
		return *at(l)
	}
	digest := func(l *Letter) string {
		if *at(l) == nil {
			return ""
		}
		return (*at(l)).Digest
	}
	size := func(l *Letter) string {
		if *at(l) == nil {
			return ""
		}
		return strconv.Itoa((*at(l)).Bytes)
	}
	return []field{
		{prefix + name + "-sha256", digest, func(l *Letter, text string) error {
			part(l).Digest = text
			return nil
		}},
		{prefix + name + "-bytes", size, func(l *Letter, text string) (err error) {
			part(l).Bytes, err = strconv.Atoi(text)
			return err
		}},
	}
}

// topicID is written as Kafka's own tools write it.
func topicID(l *Letter) string {
	if l.TopicID == [16]byte{} {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(l.TopicID[:])
}

func setTopicID(l *Letter, text string) error {
	id, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && copy(l.TopicID[:], id) != len(l.TopicID) || len(id) > len(l.TopicID) {
		err = errors.New("it is no topic ID")
	}
	return err
}

func items(l *Letter) string {
	var text []byte
	for i, item := range l.Items {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(item), 10)
	}
	return string(text)
}

func setItems(l *Letter, text string) error {
	l.Items = nil
	for part := range strings.SplitSeq(text, ",") {
		item, err := strconv.Atoi(part)
		if err != nil {
			return err
		}
		l.Items = append(l.Items, item)
	}
	return nil
}

func checkVersion(text string) error {
	version, err := strconv.Atoi(text)
	if err == nil && version > Version {
		err = &VersionError{version}
	}
	return err
}
