package decide

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// transform makes the record that routes and sinks see: what the configuration
// names is replaced, the rest is kept.
func (d *Decider) transform(rec *handlers.Record) (*handlers.Record, error) {
	t := d.plan.Transform
	made := *rec
	if t.Key != nil {
		key, err := t.Key.Bytes(d.in)
		if d.trace != nil {
			d.trace.bytes("transform.key", t.Key.Source(), t.Key, d.in, key, err)
		}
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		made.Key = key
	}
	if len(t.Headers) > 0 {
		made.Headers = slices.Clone(rec.Headers)
	}
	for _, h := range t.Headers {
		value, err := h.Value.Bytes(d.in)
		if h.Secret {
			err = expression.Withheld(err)
		}
		if d.trace != nil {
			d.trace.bytes("transform.headers."+h.Name, h.Source, h.Value, d.in, value, err)
			d.trace.hide(h.Secret)
		}
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", h.Name, err)
		}
		made.Headers = slices.DeleteFunc(made.Headers, func(old handlers.Header) bool { return old.Key == h.Name })
		if value != nil {
			made.Headers = append(made.Headers, handlers.Header{Key: h.Name, Value: value})
		}
	}
	if t.Payload != nil {
		value, err := d.value(rec, t.Payload)
		switch {
		case err != nil && t.Payload.Leaf != nil:
			return nil, errors.Unwrap(err) // without a path: it is all of the payload
		case err != nil:
			return nil, fmt.Errorf("payload%w", err)
		}
		made.Value = value
	}
	return &made, nil
}

// value is what a transform makes of the record's value, nil for a tombstone: a
// whole payload that is null makes one, and a map or a list of leaves, of which
// none has anything to read in a tombstone, leaves one as it is.
func (d *Decider) value(rec *handlers.Record, payload *plan.Payload) ([]byte, error) {
	if payload.Leaf == nil && rec.Value == nil {
		if d.trace != nil {
			d.trace.add(Step{Stage: outcome.StageTransform, Where: "transform.payload", Value: "a tombstone stays one"})
		}
		return nil, nil
	}
	value, err := d.appendPayload(nil, payload)
	if d.trace != nil {
		d.trace.payload("transform.payload", payload, d.in)
	}
	if err != nil || payload.Leaf != nil && string(value) == "null" {
		return nil, err
	}
	return value, nil
}

// appendPayload appends the JSON of one node of a transform's tree. Its errors
// begin with the path to the node that failed.
func (d *Decider) appendPayload(dst []byte, node *plan.Payload) ([]byte, error) {
	var err error
	switch {
	case node.Leaf != nil:
		if dst, err = node.Leaf.AppendJSON(dst, d.in); err != nil {
			return nil, fmt.Errorf(": %w", err)
		}
		return dst, nil
	case node.Items != nil:
		dst = append(dst, '[')
		for i, item := range node.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = d.appendPayload(dst, item); err != nil {
				return nil, fmt.Errorf("[%d]%w", i, err)
			}
		}
		return append(dst, ']'), nil
	default:
		dst = append(dst, '{')
		for i, field := range node.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			name, err := json.Marshal(field.Name)
			if err != nil {
				return nil, fmt.Errorf(".%s: %w", field.Name, err)
			}
			dst = append(append(dst, name...), ':')
			if dst, err = d.appendPayload(dst, field.Value); err != nil {
				return nil, fmt.Errorf(".%s%w", field.Name, err)
			}
		}
		return append(dst, '}'), nil
	}
}
