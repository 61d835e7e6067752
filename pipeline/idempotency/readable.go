package idempotency

import (
	"encoding/json"
	"fmt"
	"time"
)

// String is the state as people read it.
func (s State) String() string {
	switch s {
	case Claimed:
		return "claimed"
	case Confirmed:
		return "confirmed"
	case ParkedState:
		return "parked"
	default:
		return "none"
	}
}

// String is the token's state as logs name it.
func (s TokenState) String() string {
	switch s {
	case Held:
		return "held"
	case Lost:
		return "lost"
	default:
		return "none"
	}
}

// String is the settlement as logs name it.
func (s Settlement) String() string {
	switch s {
	case Released:
		return "released"
	case ParkedAway:
		return "parked"
	default:
		return "none"
	}
}

// String is the record's address as every command writes it.
func (o Origin) String() string {
	return fmt.Sprintf("%s/%d/%d", o.Topic, o.Partition, o.Offset)
}

// MarshalJSON is the row as commands print it: times in UTC, ids in
// hexadecimal, durations as in the configuration, nothing that is not known.
func (r *Row) MarshalJSON() ([]byte, error) {
	type holder struct {
		Host string `json:"host,omitempty"`
		PID  int    `json:"pid,omitempty"`
		Run  string `json:"run,omitempty"`
	}
	type origin struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Offset    int64  `json:"offset"`
	}
	return json.Marshal(struct {
		State       string `json:"state"`
		Uncertain   bool   `json:"uncertain,omitempty"`
		Holder      holder `json:"holder"`
		Token       string `json:"token,omitempty"`
		Record      origin `json:"record"`
		Digest      string `json:"digest"`
		ClaimedAt   string `json:"claimed_at,omitempty"`
		ConfirmedAt string `json:"confirmed_at,omitempty"`
		Deadline    string `json:"lease_until,omitempty"`
		Expires     string `json:"expires,omitempty"`
		Lease       string `json:"lease"`
		TTL         string `json:"ttl"`
		Answer      string `json:"answer,omitempty"`
	}{
		State:       r.State.String(),
		Uncertain:   r.Uncertain,
		Holder:      holder(r.Holder),
		Token:       r.tokenText(),
		Record:      origin(r.Origin),
		Digest:      r.Digest.String(),
		ClaimedAt:   timeText(r.ClaimedAt),
		ConfirmedAt: timeText(r.ConfirmedAt),
		Deadline:    timeText(r.Deadline),
		Expires:     timeText(r.Expires),
		Lease:       r.Lease.String(),
		TTL:         r.TTL.String(),
		Answer:      r.Answer,
	})
}

func (r *Row) tokenText() string {
	if !r.held() {
		return ""
	}
	return r.Token.String()
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
