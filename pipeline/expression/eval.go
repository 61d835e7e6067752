package expression

import "fmt"

// Bool evaluates a condition.
func (e *Expression) Bool(in *Input) (bool, error) {
	v, err := e.eval(&in.input)
	if err != nil {
		return false, err
	}
	switch v := v.(type) {
	case bool:
		return v, nil
	case nil:
		return false, nil
	default:
		return false, fmt.Errorf("%s is %s: a condition must be true or false", shorten(e.source), kindOf(v))
	}
}

// Value evaluates: nil, bool, int64, float64, string, time.Time,
// time.Duration, []any, map[string]any, or json.Number for a number that fits
// neither int64 nor float64 exactly. Lists and objects must not be changed.
func (e *Expression) Value(in *Input) (any, error) {
	v, err := e.eval(&in.input)
	if k := kindOf(v); err == nil && (k == kindZone || k == kindHalf || v == unknown{}) {
		return nil, fmt.Errorf("%s is %s: it has no value", shorten(e.source), kindOf(v))
	}
	return v, err
}

func (e *expression) eval(in *input) (any, error) {
	switch {
	case e.term.constant:
		return e.term.value, nil
	case e.term.ref != nil:
		return protect(func() (any, error) { return e.term.ref.read(in), nil })
	}
	v, err := in.run(e)
	if k := kindOf(v); err != nil || k != kindList && k != kindObject {
		return v, err
	}
	return protect(func() (any, error) { in.weigh(v); return v, nil })
}

// AppendJSON evaluates and appends the result's JSON to dst. Where the
// expression is just a path, or `path ?? constant`, the record's own text is
// copied, numbers digit by digit.
func (e *Expression) AppendJSON(dst []byte, in *Input) ([]byte, error) {
	return e.appendJSON(dst, &in.input, in.appendRaw)
}

// AppendCanonical is AppendJSON with the keys of objects sorted and no white
// space, number text kept: what a content digest is made of.
func (e *Expression) AppendCanonical(dst []byte, in *Input) ([]byte, error) {
	return e.appendJSON(dst, &in.input, in.appendCanonical)
}

// appendRaw copies the record's own text.
func (in *input) appendRaw(dst, raw []byte) []byte {
	in.made(len(raw))
	return append(dst, raw...)
}

func (e *expression) appendJSON(dst []byte, in *input, write func(dst, raw []byte) []byte) ([]byte, error) {
	v, raw, err := e.copied(in)
	switch {
	case err != nil:
		return dst, err
	case raw != nil:
		out, err := protect(func() ([]byte, error) { return write(dst, raw), nil })
		if err != nil {
			return dst, err
		}
		return out, nil
	}
	out, err := in.appendResult(dst, v)
	if err != nil {
		return dst, fmt.Errorf("%s: %w", shorten(e.source), err)
	}
	return out, nil
}

// Bytes evaluates to what a record's key or header value can be: text as its
// bytes, a number as its text, an object or list as JSON; nil for null.
func (e *Expression) Bytes(in *Input) ([]byte, error) {
	v, raw, err := e.copied(&in.input)
	if err != nil {
		return nil, err
	}
	if raw != nil {
		if err := in.spend(weight{bytes: len(raw)}); err != nil {
			return nil, err
		}
		switch s := decodeScalar(raw); s.kind {
		case kindText:
			return append([]byte{}, s.s...), nil
		case kindHalf:
			return nil, fmt.Errorf("%s is %s", shorten(e.source), halfText)
		}
		return append([]byte{}, raw...), nil
	}
	if v == nil {
		return nil, nil
	}
	out, err := in.appendAsText([]byte{}, v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shorten(e.source), err)
	}
	return out, nil
}

// copied is the value, or the record's own JSON of it where that can be copied:
// raw is nil otherwise, and for null.
func (e *expression) copied(in *input) (v any, raw []byte, err error) {
	links := e.term.links()
	if links == nil {
		v, err = e.eval(in)
		return v, nil, err
	}
	v, err = protect(func() (any, error) {
		for _, t := range links {
			if t.ref != nil && t.ref.slot >= 0 {
				if raw = t.ref.raw(in); raw != nil && raw[0] != 'n' {
					return nil, nil
				}
				raw = nil
				continue
			}
			if v := t.now(in); v != nil {
				return v, nil
			}
		}
		return nil, nil
	})
	return v, raw, err
}

// now is the value of a term that is constant or a part of the record.
func (t term) now(in *input) any {
	if t.constant {
		return t.value
	}
	return t.ref.value(in)
}
