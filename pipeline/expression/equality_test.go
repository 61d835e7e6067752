package expression

import "testing"

func TestEquality(t *testing.T) {
	checkConditions(t, []one{
		{source: `payload.a == "5"`, value: `{"a":5}`, want: false},
		{source: `payload.a != "5"`, value: `{"a":5}`, want: true},
		{source: `payload.a == 5`, value: `{"a":"5"}`, want: false},
		{source: `payload.a == 1`, value: `{"a":true}`, want: false},
		{source: `payload.a == nil`, value: `{}`, want: true},
		{source: `payload.a == nil`, value: `{"a":0}`, want: false},
		{source: `payload.a != nil`, value: `{"a":""}`, want: true},
		{source: `payload.a == false`, value: `{}`, want: false},
		{source: `payload.a == payload.b`, value: `{}`, want: true},
		{source: `"x" == payload.a`, value: `{"a":"x"}`, want: true},
		{source: `payload.a == "é"`, value: `{"a":"\u00e9"}`, want: true},
		{source: `payload.a == 5`, value: `{"a":5.0}`, want: true},
		{source: `payload.a == 5.0`, value: `{"a":5}`, want: true},
		{source: `payload.a == 0.5`, value: `{"a":5e-1}`, want: true},
		{source: `payload.a == [1, {b: "c"}]`, value: `{"a":[1.0,{"b":"c"}]}`, want: true},
		{source: `payload.a == [1, 2]`, value: `{"a":[1]}`, want: false},
		{source: `payload.a == {b: nil}`, value: `{"a":{"c":null}}`, want: false},
		{source: `payload.a == [1]`, value: `{"a":"x"}`, want: false},
		{source: `timestamp == date("2026-02-03T03:05:06.007Z")`, value: `{}`, want: true},
		{source: `[timestamp, payload.a][payload.i] == "2026-02-03T03:05:06.007Z"`, value: `{"i":0}`, want: false},

		{source: `payload.a in ["x", 5, nil]`, value: `{"a":5.0}`, want: true},
		{source: `payload.a in ["x", 5, nil]`, value: `{}`, want: true},
		{source: `payload.a in ["5"]`, value: `{"a":5}`, want: false},
		{source: `payload.a not in ["5"]`, value: `{"a":5}`, want: true},
		{source: `payload.a in [[1], {b: 2}]`, value: `{"a":{"b":2}}`, want: true},
		{source: `"vip" in payload.tags`, value: `{"tags":["vip"]}`, want: true},
		{source: `"vip" in payload.tags`, value: `{"tags":{"vip":null}}`, want: true},
		{source: `5 in payload.tags`, value: `{"tags":{"5":null}}`, want: false},
		{source: `"vip" in payload.tags`, value: `{}`, want: false},
		{source: `"vip" not in payload.tags`, value: `{"tags":5}`, want: true},
		{source: `payload.a in 1..5`, value: `{"a":3}`, want: true},
		{source: `"trace" in headers`, value: `{}`, want: true},
	})
}

func TestOrdering(t *testing.T) {
	checkConditions(t, []one{
		{source: `payload.a > 5`, value: `{"a":5.5}`, want: true},
		{source: `5 < payload.a`, value: `{"a":5.5}`, want: true},
		{source: `payload.a >= 5.5`, value: `{"a":6}`, want: true},
		{source: `payload.a <= payload.b`, value: `{"a":1,"b":1.0}`, want: true},
		{source: `payload.a < "b"`, value: `{"a":"a"}`, want: true},
		{source: `payload.a > 9007199254740992.0`, value: `{"a":9007199254740993}`, want: true},
		{source: `payload.a == 9007199254740992.0`, value: `{"a":9007199254740993}`, want: false},
		{source: `payload.a < 9223372036854775808.0`, value: `{"a":9223372036854775807}`, want: true},
		{source: `payload.a > -1e300`, value: `{"a":-9223372036854775808}`, want: true},
		{source: `payload.a < payload.b`, value: `{"a":-1.5,"b":-1}`, want: true},
		{source: `1 < payload.a < 3`, value: `{"a":2}`, want: true},
		{source: `1 < payload.a < 3`, value: `{"a":3}`, want: false},
		{source: `timestamp > date("2026-01-01")`, value: `{}`, want: true},
		{source: `timestamp - date("2026-02-03") > duration("3h")`, value: `{}`, want: true},

		{source: `payload.a > 5`, value: `{"a":"6"}`, err: "payload.a is text and 5 is a number: cannot compare with >"},
		{source: `payload.a > "5"`, value: `{"a":6}`, err: `payload.a is a number and "5" is text: cannot compare with >`},
		{source: `payload.a > 5`, value: `{"a":true}`, err: "payload.a is a boolean: cannot compare with >"},
		{source: `payload.a > payload.b`, value: `{"a":[],"b":[]}`, err: "payload.a is a list: cannot compare with >"},
		{source: `[timestamp, ""][payload.i] > payload.a`, value: `{"i":0,"a":5}`, err: "[timestamp, \"\"][payload.i] is a time and payload.a is a number: cannot compare with >"},
	})
}

func TestIntegersBeyond64Bits(t *testing.T) {
	const big = `{"id":18446744073709551615,"same":18446744073709551615,"other":18446744073709551616,"float":1.8446744073709551616e19}`
	checkConditions(t, []one{
		{source: `payload.id == payload.same`, value: big, want: true},
		{source: `payload.id == payload.other`, value: big, want: false},
		{source: `payload.id == 18446744073709551615`, value: big, want: true},
		{source: `payload.id == 18_446_744_073_709_551_616`, value: big, want: false},
		{source: `payload.id in [18446744073709551615]`, value: big, want: true},
		{source: `payload.other == payload.float`, value: big, want: true},
		{source: `payload.id == payload.float`, value: big, want: false},
		{source: `payload.id == 5`, value: big, want: false},
		{source: `payload.id == "18446744073709551615"`, value: big, want: false},
		{source: `payload.a == -9223372036854775808`, value: `{"a":-9223372036854775808}`, want: true},
		{source: `payload.a == -9223372036854775809`, value: `{"a":-9223372036854775809}`, want: true},
		{source: `payload.id > 5`, value: big, err: "payload.id is beyond 64 bits: cannot compare with >"},
		{source: `payload.id + 1 == 2`, value: big, err: "payload.id is beyond 64 bits: cannot calculate with +"},
		{source: `-payload.id == 1`, value: big, err: "payload.id is beyond 64 bits: cannot calculate with -"},
		{source: `abs(payload.id) == 1`, value: big, err: "payload.id is beyond 64 bits: cannot calculate with abs"},
		{source: `sum([payload.id]) == 1`, value: big, err: "an element of [payload.id] is beyond 64 bits: cannot calculate with sum"},
	})
}
