package expression

import "testing"

func TestNull(t *testing.T) {
	checkValues(t, []one{
		{source: `payload`, want: nil},
		{source: `payload`, value: `null`, want: nil},
		{source: `payload.a`, want: nil},
		{source: `payload.a.b.c`, value: `{}`, want: nil},
		{source: `payload.a.b.c`, value: `{"a":null}`, want: nil},
		{source: `payload.a[3]`, value: `{"a":[1]}`, want: nil},
		{source: `payload.a[-2]`, value: `{"a":[1]}`, want: nil},
		{source: `payload.a[-1]`, value: `{"a":[1]}`, want: int64(1)},
		{source: `payload.a[0][0]`, value: `{}`, want: nil},
		{source: `payload["a" + "b"]`, value: `{"ab":2}`, want: int64(2)},
		{source: `payload[headers.trace]`, value: `{"last":2}`, want: int64(2)},
		{source: `payload.a[payload.i]`, value: `{"a":[1,2],"i":1}`, want: int64(2)},
		{source: `payload.a[payload.i]`, value: `{"a":[1,2],"i":7}`, want: nil},
		{source: `(payload.a ?? payload.b).c`, value: `{"b":{"c":1}}`, want: int64(1)},
		{source: `payload.a?.b?.c`, value: `{}`, want: nil},
		{source: `payload?.["a"]`, value: `{"a":1}`, want: int64(1)},

		{source: `payload.a.b`, value: `{"a":"x"}`, err: "payload.a is text: it has no field b"},
		{source: `payload.a.b`, value: `{"a":5}`, err: "payload.a is a number: it has no field b"},
		{source: `payload.a.b.c`, value: `{"a":true}`, err: "payload.a is a boolean: it has no field b"},
		{source: `payload.a.b`, value: `{"a":[]}`, err: "payload.a is a list: it has no field b"},
		{source: `payload.a[0]`, value: `{"a":{}}`, err: "payload.a is an object: it has no items"},
		{source: `payload.a[0]`, value: `{"a":"x"}`, err: "payload.a is text: it has no items"},
		{source: `payload.a`, value: `"text"`, err: "payload is text: it has no field a"},
		{source: `payload.a`, value: `[1]`, err: "payload is a list: it has no field a"},
		{source: `(payload.a ?? 1).b`, value: `{}`, err: `payload.a ?? 1 is a number: it has no field b`},
		{source: `payload.a[payload.i]`, value: `{"a":[1]}`, err: "payload.i is null: [] needs a whole number"},
		{source: `payload.a[payload.i]`, value: `{"a":{},"i":1}`, err: "payload.i is a number: a field's name must be text"},

		{source: `!payload.a`, value: `{}`, want: true},
		{source: `not payload.a`, value: `{"a":false}`, want: true},
		{source: `payload.a && true`, value: `{}`, want: false},
		{source: `payload.a || payload.b`, value: `{}`, want: false},
		{source: `payload.a or true`, value: `{}`, want: true},
		{source: `payload.a ? 1 : 2`, value: `{}`, want: int64(2)},
		{source: `if payload.a { 1 } else { 2 }`, value: `{"a":true}`, want: int64(1)},
		{source: `payload.a && payload.b.c`, value: `{"b":1}`, want: false},
		{source: `!payload.a`, value: `{"a":"x"}`, err: "payload.a is text: ! needs true or false"},
		{source: `payload.a && true`, value: `{"a":1}`, err: "payload.a is a number: && needs true or false"},
		{source: `true || payload.a`, value: `{"a":1}`, want: true},
		{source: `false || payload.a`, value: `{"a":[]}`, err: "payload.a is a list: || needs true or false"},
		{source: `payload.a ? 1 : 2`, value: `{"a":{}}`, err: "payload.a is an object: ?: needs true or false"},

		{source: `payload.a contains "x"`, value: `{}`, want: false},
		{source: `payload.a startsWith "x"`, value: `{}`, want: false},
		{source: `payload.a endsWith "x"`, value: `{}`, want: false},
		{source: `payload.a matches "x"`, value: `{}`, want: false},
		{source: `"x" contains payload.a`, value: `{}`, want: false},
		{source: `payload.a not contains "x"`, value: `{}`, want: true},
		{source: `payload.a contains "x"`, value: `{"a":["x"]}`, err: "payload.a is a list: contains needs text"},
		{source: `payload.a matches "x"`, value: `{"a":5}`, err: "payload.a is a number: matches needs text"},

		{source: `payload.a > 5`, value: `{}`, err: "payload.a is null: cannot compare with >"},
		{source: `5 <= payload.a`, value: `{}`, err: "payload.a is null: cannot compare with <="},
		{source: `payload.a + 1`, value: `{}`, err: "payload.a is null: cannot calculate with +"},
		{source: `payload.a - 1`, value: `{}`, err: "payload.a is null: cannot calculate with -"},
		{source: `"x" + payload.a`, value: `{}`, err: "payload.a is null: cannot calculate with +"},
		{source: `-payload.a`, value: `{}`, err: "payload.a is null: cannot calculate with -"},
		{source: `len(payload.a)`, value: `{}`, err: "payload.a is null: len needs text, a list or an object"},
		{source: `upper(payload.a)`, value: `{}`, err: "payload.a is null: upper needs text"},
		{source: `string(payload.a)`, value: `{}`, err: "payload.a is null: string needs a value"},
		{source: `any(payload.a, # == 1)`, value: `{}`, err: "payload.a is null: any needs a list"},
		{source: `(payload.a ?? 0) + 1`, value: `{}`, want: int64(1)},
		{source: `payload.a ?? payload.b ?? "c"`, value: `{"b":2}`, want: int64(2)},
		{source: `payload.a ?? "c"`, value: `{"a":false}`, want: false},
		{source: `[payload.a, nil]`, value: `{}`, want: []any{nil, nil}},
	})
}

func TestConditionTakesNullAsFalse(t *testing.T) {
	checkConditions(t, []one{
		{source: `payload.status == "x"`, want: false},
		{source: `payload.deleted`, value: `{}`, want: false},
		{source: `payload.deleted`, value: `{"deleted":true}`, want: true},
		{source: `nil`, value: `{}`, want: false},
		{source: `payload.deleted`, value: `{"deleted":"yes"}`, err: "payload.deleted is text: a condition must be true or false"},
		{source: `payload.n ?? 5`, value: `{}`, err: "payload.n ?? 5 is a number: a condition must be true or false"},
	})
}
