package expression

import (
	"testing"
	"time"
)

func TestTextFunctions(t *testing.T) {
	checkValues(t, []one{
		{source: `trim(payload.a)`, value: `{"a":"  x "}`, want: "x"},
		{source: `trim(payload.a, "_")`, value: `{"a":"__x_"}`, want: "x"},
		{source: `trimPrefix(payload.a, "x-")`, value: `{"a":"x-y"}`, want: "y"},
		{source: `trimSuffix(payload.a, "-y")`, value: `{"a":"x-y"}`, want: "x"},
		{source: `upper(payload.a) + lower(payload.a)`, value: `{"a":"äB"}`, want: "ÄBäb"},
		{source: `split(payload.a, ",")`, value: `{"a":"a,b"}`, want: []any{"a", "b"}},
		{source: `split(payload.a, ",", 2)`, value: `{"a":"a,b,c"}`, want: []any{"a", "b,c"}},
		{source: `splitAfter(payload.a, ",")`, value: `{"a":"a,b"}`, want: []any{"a,", "b"}},
		{source: `replace(payload.a, "a", "b")`, value: `{"a":"aa"}`, want: "bb"},
		{source: `replace(payload.a, "a", "b", 1)`, value: `{"a":"aa"}`, want: "ba"},
		{source: `join(payload.a, "-")`, value: `{"a":["x","y"]}`, want: "x-y"},
		{source: `join(payload.a)`, value: `{"a":["x",5]}`, err: "an element of payload.a is a number: join needs text"},
		{source: `indexOf(payload.a, "c")`, value: `{"a":"äbc"}`, want: int64(2)},
		{source: `lastIndexOf(payload.a, "z")`, value: `{"a":"abc"}`, want: int64(-1)},
		{source: `hasPrefix(payload.a, "a") && hasSuffix(payload.a, "c")`, value: `{"a":"abc"}`, want: true},
		{source: `len(payload.a)`, value: `{"a":"äöü"}`, want: int64(3)},
		{source: `payload.a[1:2]`, value: `{"a":"äöü"}`, want: "ö"},
		{source: `payload.a[-2:]`, value: `{"a":"äöü"}`, want: "öü"},
		{source: `payload.a[:9]`, value: `{"a":"äöü"}`, want: "äöü"},
		{source: `payload.a[2:1]`, value: `{"a":"äöü"}`, want: ""},
		{source: `payload.a[1:]`, value: `{"a":5}`, err: "payload.a is a number: [:] needs a list or text"},
		{source: `string(payload.a)`, value: `{"a":[1,{"b":"c"}]}`, want: `[1,{"b":"c"}]`},
		{source: `string(payload.a) + string(payload.b)`, value: `{"a":5,"b":true}`, want: "5true"},
		{source: `toJSON(payload)`, value: `{"b":[1, 2.50],"a":"\u00e9\n"}`, want: `{"a":"é\n","b":[1,2.5]}`},
		{source: `fromJSON(payload.a).b`, value: `{"a":"{\"b\":9007199254740993}"}`, want: int64(9007199254740993)},
		{source: `fromJSON(payload.a)`, value: `{"a":"{"}`, err: "payload.a is text that is not valid JSON"},
		{source: `toBase64(payload.a)`, value: `{"a":"hi"}`, want: "aGk="},
		{source: `fromBase64(payload.a)`, value: `{"a":"aGk="}`, want: "hi"},
		{source: `fromBase64(payload.a)`, value: `{"a":"?"}`, err: "payload.a is text that is not base64"},
		{source: `type(payload.a) + type(payload.b) + type(payload.c) + type(payload.d)`, value: `{"a":"x","b":1,"c":[]}`, want: "stringintarraynil"},
		{source: `payload.a matches "^[a-z]+$"`, value: `{"a":"abc"}`, want: true},
	})
}

func TestListFunctions(t *testing.T) {
	const items = `{"items":[{"n":2,"s":"b"},{"n":1,"s":"a"},{"n":2,"s":"a"}],"o":{"z":1,"a":2}}`
	checkValues(t, []one{
		{source: `any(payload.items, .n > 1) && all(payload.items, .n > 0)`, value: items, want: true},
		{source: `none(payload.items, # == nil) && one(payload.items, .n == 1)`, value: items, want: true},
		{source: `any(payload.items, .gone)`, value: items, want: false},
		{source: `any(payload.items, .s)`, value: items, err: ".s is text: any needs true or false"},
		{source: `map(payload.items, .n)`, value: items, want: []any{int64(2), int64(1), int64(2)}},
		{source: `map(filter(payload.items, .s == "a"), .n)`, value: items, want: []any{int64(1), int64(2)}},
		{source: `payload.items | filter(.n > 1) | len()`, value: items, want: int64(2)},
		{source: `find(payload.items, .n == 1).s`, value: items, want: "a"},
		{source: `find(payload.items, .n == 9).s`, value: items, want: nil},
		{source: `findLast(payload.items, .n == 2).s`, value: items, want: "a"},
		{source: `findIndex(payload.items, .n == 1)`, value: items, want: int64(1)},
		{source: `findIndex(payload.items, .n == 9)`, value: items, want: nil},
		{source: `findLastIndex(payload.items, .n == 2)`, value: items, want: int64(2)},
		// A value of the VM's own loop stood in the place of the 7 here.
		{source: `[7, findLast(payload.items, .n == 2).s, findLastIndex(payload.items, .n == 9), 8]`, value: items, want: []any{int64(7), "a", nil, int64(8)}},
		{source: `findLast(payload.items, #index < 2).n`, value: items, want: int64(1)},
		{source: `findLastIndex(payload.items, any(payload.items, .n == 2 && #index == 0) && .n == 2)`, value: items, want: int64(2)},
		{source: `count(payload.items, .n == 2) + 1`, value: items, want: int64(3)},
		{source: `count([true, payload.x, true])`, value: items, want: int64(2)},
		{source: `map(payload.items, #index * 2)`, value: items, want: []any{int64(0), int64(2), int64(4)}},
		{source: `reduce(payload.items, #acc + .n, 10)`, value: items, want: int64(15)},
		{source: `reduce(map(payload.items, .n), #acc * #)`, value: items, want: int64(4)},
		{source: `reduce(payload.x ?? [], #acc)`, value: items, err: "payload.x ?? [] is empty: reduce needs a first value then"},
		{source: `map(sortBy(payload.items, .n), .s)`, value: items, want: []any{"a", "b", "a"}},
		{source: `map(sortBy(payload.items, .s, "desc"), .n)`, value: items, want: []any{int64(2), int64(1), int64(2)}},
		{source: `sortBy(payload.items, .gone)`, value: items, err: ".gone is null: sortBy cannot order it"},
		{source: `map(groupBy(payload.items, .s).a, .n)`, value: items, want: []any{int64(1), int64(2)}},
		{source: `groupBy(payload.items, .n)`, value: items, err: ".n is a number: groupBy needs text"},
		{source: `sort(map(payload.items, .n))`, value: items, want: []any{int64(1), int64(2), int64(2)}},
		{source: `sort([2, 1.5, payload.o.z], "desc")`, value: items, want: []any{int64(2), 1.5, int64(1)}},
		{source: `sort([1, payload.items[0].s])`, value: items, err: "an element of [1, payload.items[0].s] is once a number and once text: sort cannot order them"},
		{source: `keys(payload.o)`, value: items, want: []any{"a", "z"}},
		{source: `values(payload.o)`, value: items, want: []any{int64(2), int64(1)}},
		{source: `toPairs(payload.o)`, value: items, want: []any{[]any{"a", int64(2)}, []any{"z", int64(1)}}},
		{source: `fromPairs(toPairs(payload.o)) == payload.o`, value: items, want: true},
		{source: `keys(payload.items)`, value: items, err: "payload.items is a list: keys needs an object"},
		{source: `first(payload.items).n + last(payload.items).n`, value: items, want: int64(4)},
		{source: `first([])`, value: items, want: nil},
		{source: `get(payload.o, "a")`, value: items, want: int64(2)},
		{source: `get(payload.gone, "a")`, value: items, want: nil},
		{source: `len(take(payload.items, 2)) + len(take(payload.items, 9))`, value: items, want: int64(5)},
		{source: `map(reverse(payload.items), .n)[0]`, value: items, want: int64(2)},
		{source: `uniq([1, 1.0, "1", payload.o.z, [1], [1.0]])`, value: items, want: []any{int64(1), "1", []any{int64(1)}}},
		{source: `concat([1], payload.gone ?? [2])`, value: items, want: []any{int64(1), int64(2)}},
		{source: `flatten([1, [2, [payload.o.z]]])`, value: items, want: []any{int64(1), int64(2), int64(1)}},
		{source: `payload.items[1:2][0].s`, value: items, want: "a"},
		{source: `2..4`, value: items, want: []any{int64(2), int64(3), int64(4)}},
		{source: `payload.o.a..payload.o.z`, value: items, want: []any{}},
		{source: `let n = payload.o; n.a + n.z`, value: items, want: int64(3)},
		{source: `{a: payload.o.a, (payload.items[0].s): 1}`, value: items, want: map[string]any{"a": int64(2), "b": int64(1)}},
		{source: `{(payload.o.a): 1}`, value: items, err: "payload.o.a is a number: an object's key must be text"},
		{source: `any(payload.items, any([.n], # == 1))`, value: items, want: true},
	})
}

func TestTimes(t *testing.T) {
	checkValues(t, []one{
		{source: `timestamp`, want: time.Date(2026, 2, 3, 3, 5, 6, 7e6, time.UTC)},
		{source: `timestamp.Hour() + timestamp.Weekday()`, want: int64(3 + 2)},
		{source: `timestamp.Unix()`, want: int64(1770087906)},
		{source: `timestamp.UnixMilli()`, want: int64(1770087906007)},
		{source: `timestamp.Format("2006-01-02")`, want: "2026-02-03"},
		{source: `timestamp.In(timezone("Europe/Berlin")).Hour()`, want: int64(4)},
		{source: `timestamp.Truncate(duration("1h")).Minute()`, want: int64(0)},
		{source: `timestamp.AddDate(0, 1, 0).Month()`, want: int64(3)},
		{source: `timestamp.Before(date("2027-01-01")) && timestamp.After(date("2025-01-01"))`, want: true},
		{source: `(timestamp - date("2026-02-03")).Hours() > 3`, want: true},
		{source: `(duration("90m") + duration("30m")).Hours()`, want: 2.0},
		{source: `duration("1h") * 2`, want: 2 * time.Hour},
		{source: `duration("1h") / duration("30m")`, want: int64(2)},
		{source: `date(payload.at)`, value: `{"at":"2026-01-02T03:04:05+01:00"}`, want: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))},
		{source: `date(payload.at, "02.01.2006")`, value: `{"at":"02.01.2026"}`, want: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)},
		{source: `date(payload.at, "2006-01-02", "Europe/Berlin").UTC().Hour()`, value: `{"at":"2026-01-02"}`, want: int64(23)},
		{source: `date(payload.at)`, value: `{"at":"soon"}`, err: "payload.at is text that is no time"},
		{source: `[timestamp, payload.at][payload.i].Year()`, value: `{"i":1,"at":5}`, err: "[timestamp, payload.at][payload.i] is a number: Year needs a time"},
		{source: `string(timestamp)`, want: "2026-02-03T03:05:06.007Z"},
	})
}

func TestRecordParts(t *testing.T) {
	checkValues(t, []one{
		{source: `key`, want: "o-1"},
		{source: `topic + string(partition) + string(offset)`, want: "orders342"},
		{source: `value`, value: `{"a": 1}`, want: `{"a": 1}`},
		{source: `value`, want: nil},
		{source: `headers.trace`, want: "last"},
		{source: `headers["trace"] == headers.trace`, want: true},
		{source: `headers.none`, want: nil},
		{source: `headers.missing`, want: nil},
		{source: `headers.empty`, want: ""},
		{source: `headers.missing ?? "d"`, want: "d"},
		{source: `headers["x-id"]`, want: "\xff"},
		{source: `headers[payload.h]`, value: `{"h":"trace"}`, want: "last"},
		{source: `keys(headers)`, want: []any{"empty", "none", "trace", "x-id"}},
		{source: `source.payload.a + source.offset`, value: `{"a":1}`, want: int64(43)},
		{source: `source.headers.trace + source.key`, want: "lasto-1"},
	})
}
