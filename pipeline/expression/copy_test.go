package expression

import "testing"

func TestCopies(t *testing.T) {
	const value = `{"n":1.50,"big":123456789012345678901234567890,"e":1E+2,"s":"a\u00e9\/","o":{"b": 1.0,"a":[1,  2],"b":3.10},"null":null,"bin":"x"}`
	for _, row := range []struct {
		source, json, canonical, bytes string
		null                           bool
		err                            string
	}{
		{source: `payload.n`, json: `1.50`, canonical: `1.50`, bytes: `1.50`},
		{source: `payload.big`, json: `123456789012345678901234567890`, canonical: `123456789012345678901234567890`, bytes: `123456789012345678901234567890`},
		{source: `payload.e`, json: `1E+2`, canonical: `1E+2`, bytes: `1E+2`},
		{source: `payload.s`, json: `"a\u00e9\/"`, canonical: `"aé/"`, bytes: `aé/`},
		{source: `payload.o`, json: `{"b": 1.0,"a":[1,  2],"b":3.10}`, canonical: `{"a":[1,2],"b":3.10}`, bytes: `{"b": 1.0,"a":[1,  2],"b":3.10}`},
		{source: `payload.gone ?? payload.n`, json: `1.50`, canonical: `1.50`, bytes: `1.50`},
		{source: `payload.gone ?? payload.null ?? 2.0`, json: `2`, canonical: `2`, bytes: `2`},
		{source: `payload.gone ?? "x"`, json: `"x"`, canonical: `"x"`, bytes: `x`},
		{source: `payload.null`, json: `null`, canonical: `null`, null: true},
		{source: `payload.gone`, json: `null`, canonical: `null`, null: true},
		{source: `payload.n + 0`, json: `1.5`, canonical: `1.5`, bytes: `1.5`},
		{source: `[payload.n, payload.big]`, json: `[1.5,123456789012345678901234567890]`, canonical: `[1.5,123456789012345678901234567890]`, bytes: `[1.5,123456789012345678901234567890]`},
		{source: `payload.n > 1`, json: `true`, canonical: `true`, bytes: `true`},
		{source: `{z: payload.s, a: "\n\x01\\"}`, json: `{"a":"\n\u0001\\","z":"aé/"}`, canonical: `{"a":"\n\u0001\\","z":"aé/"}`, bytes: `{"a":"\n\u0001\\","z":"aé/"}`},
		{source: `key`, json: `"o-1"`, canonical: `"o-1"`, bytes: `o-1`},
		{source: `headers.none`, json: `null`, canonical: `null`, null: true},
		{source: `headers.empty`, json: `""`, canonical: `""`, bytes: ``},
		{source: `timestamp`, json: `"2026-02-03T03:05:06.007Z"`, canonical: `"2026-02-03T03:05:06.007Z"`, bytes: `2026-02-03T03:05:06.007Z`},
		{source: `duration("90s")`, json: `"1m30s"`, canonical: `"1m30s"`, bytes: `1m30s`},
		{source: `headers["x-id"]`, bytes: "\xff", err: `headers["x-id"]: text that is not UTF-8 cannot be written as JSON: toBase64(...) can carry it`},
		{source: `toBase64(headers["x-id"])`, json: `"/w=="`, canonical: `"/w=="`, bytes: "/w=="},
	} {
		t.Run(row.source, func(t *testing.T) {
			s := NewScope(Options{})
			e, found := s.Expression(row.source)
			if found != nil {
				t.Fatalf("%+v", found)
			}
			in := one{value: value}.input(t, s)
			got, err := e.AppendJSON([]byte("> "), in)
			if string(got) != "> "+row.json || text(err) != row.err {
				t.Errorf("JSON %s %v, want %s %s", got, err, row.json, row.err)
			}
			got, err = e.AppendCanonical([]byte("> "), in)
			if string(got) != "> "+row.canonical || text(err) != row.err {
				t.Errorf("canonical %s %v, want %s %s", got, err, row.canonical, row.err)
			}
			got, err = e.Bytes(in)
			if string(got) != row.bytes || (got == nil) != row.null || err != nil {
				t.Errorf("bytes %q %v, want %q", got, err, row.bytes)
			}
		})
	}
}

func TestTombstoneIsNull(t *testing.T) {
	checkValues(t, []one{{source: `payload`, want: nil}, {source: `payload == nil && value == nil`, want: true}, {source: `value`, value: `null`, want: "null"}})
}
