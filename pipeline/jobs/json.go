package jobs

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/secrets"
)

// letterJSON is a letter as JSON, but for its record, which stands last.
type letterJSON struct {
	ID             string          `json:"id"`
	Pipeline       string          `json:"pipeline"`
	Sink           *string         `json:"sink"`
	Items          []int           `json:"items,omitempty"`
	Stage          string          `json:"stage"`
	Reason         string          `json:"reason"`
	Round          int             `json:"round"`
	Attempts       int             `json:"attempts"`
	FirstTime      string          `json:"first_time,omitempty"`
	LastTime       string          `json:"last_time,omitempty"`
	FirstError     string          `json:"first_error,omitempty"`
	LastError      string          `json:"last_error,omitempty"`
	IdempotencyKey string          `json:"idempotency_key,omitempty"`
	Generation     int             `json:"generation,omitempty"`
	ConfigDigest   string          `json:"config_digest,omitempty"`
	TopicID        string          `json:"topic_id,omitempty"`
	Resolution     *resolutionJSON `json:"resolution,omitempty"`
	Missing        *missingJSON    `json:"missing,omitempty"`
}

// resolutionJSON is what became of a letter; an empty How is not known.
type resolutionJSON struct {
	How  letters.Result `json:"how"`
	Time string         `json:"time,omitempty"`
	By   string         `json:"by,omitempty"`
	Job  string         `json:"job,omitempty"`
}

// missingJSON are the parts of the record that the letter does not hold: in `record`
// they are empty.
type missingJSON struct {
	Key     *partJSON `json:"key,omitempty"`
	Headers *partJSON `json:"headers,omitempty"`
	Value   *partJSON `json:"value,omitempty"`
	Where   string    `json:"where,omitempty"`
}

type partJSON struct {
	SHA256 string `json:"sha256"`
	Bytes  int    `json:"bytes"`
}

// AppendJSON appends the letter as one line of JSON without a newline, with what is
// secret taken out. The record that it is of stands in it as every command shows one.
func (l *Letter) AppendJSON(dst []byte, redactor *secrets.Redactor) []byte {
	out := letterJSON{
		ID: l.ID.String(), Pipeline: l.Pipeline, Items: l.Items,
		Stage: l.Stage, Reason: l.Reason, Round: l.Round, Attempts: l.Attempts,
		FirstTime: timeText(l.First), LastTime: timeText(l.At()), FirstError: l.FirstError, LastError: l.LastError,
		IdempotencyKey: l.Key, Generation: l.Generation, ConfigDigest: l.ConfigDigest,
	}
	if l.Sink != "" {
		out.Sink = &l.Sink
	}
	if l.TopicID != [16]byte{} {
		out.TopicID = base64.RawURLEncoding.EncodeToString(l.TopicID[:])
	}
	if r := l.Resolution; r != nil {
		out.Resolution = &resolutionJSON{How: r.How, Time: timeText(r.Time), By: r.By, Job: r.Job}
	}
	if m := l.Missing; m != (letters.Missing{}) {
		out.Missing = &missingJSON{partOf(m.Key), partOf(m.Headers), partOf(m.Value), l.Where}
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	// Texts and numbers always encode.
	_ = e.Encode(out)
	text := append(bytes.TrimSuffix(line.Bytes(), []byte("}\n")), `,"record":`...)
	text = append(handlers.AppendJSON(text, l.Record.WithoutSecrets()), '}')
	return append(dst, redactor.JSON(text)...)
}

func partOf(p *letters.Part) *partJSON {
	if p == nil {
		return nil
	}
	return &partJSON{p.Digest, p.Bytes}
}

// timeText is a time as every output writes it, empty for none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
