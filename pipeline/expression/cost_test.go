package expression

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
)

// TestEverythingIsCharged has one call of each function and operator on something
// that it looks at: on four times of it, it must charge about four times as much.
// A new function without a line here fails.
func TestEverythingIsCharged(t *testing.T) {
	functions := map[string]string{
		"trim": `trim(payload.s)`, "trimPrefix": `trimPrefix(payload.s, "b")`, "trimSuffix": `trimSuffix(payload.s, "b")`,
		"upper": `upper(payload.s)`, "lower": `lower(payload.s)`, "split": `split(payload.words, " ")`, "splitAfter": `splitAfter(payload.words, " ")`,
		"replace": `replace(payload.s, "a", "b")`, "join": `join(payload.ls)`, "indexOf": `indexOf(payload.s, "b")`, "lastIndexOf": `lastIndexOf(payload.s, "b")`,
		"hasPrefix": `hasPrefix(payload.s, payload.t)`, "hasSuffix": `hasSuffix(payload.s, payload.t)`, "string": `string(payload.l)`, "toJSON": `toJSON(payload.l)`,
		"fromJSON": `fromJSON(payload.j)`, "toBase64": `toBase64(payload.s)`, "fromBase64": `fromBase64(payload.s)`,
		"sha256": `sha256(payload.s)`, "sha1": `sha1(payload.s)`, "md5": `md5(payload.s)`, "hmac": `hmac("a", payload.s)`, "crc32": `crc32(payload.s)`,
		"uuid5": `uuid5("dns", payload.s)`, "bucket": `bucket(payload.s, 7)`, "urlEncode": `urlEncode(payload.s)`, "urlDecode": `urlDecode(payload.s)`,
		"format": `format("%s", payload.s)`, "replaceAll": `replaceAll(payload.s, "a", "b")`,
		"keys": `keys(payload.o)`, "values": `values(payload.o)`, "toPairs": `toPairs(payload.o)`, "fromPairs": `fromPairs(payload.p)`, "reverse": `reverse(payload.l)`,
		"uniq": `uniq(payload.l)`, "concat": `concat(payload.l, payload.l)`, "flatten": `flatten(payload.l)`, "sort": `sort(payload.l)`,
		"get": `get(payload.o, payload.s)`, "len": `len(payload.s)`,
		"max": `max(payload.l)`, "min": `min(payload.l)`, "mean": `mean(payload.l)`, "median": `median(payload.l)`,
		"int": `int(payload.digits)`, "float": `float(payload.digits)`,
		"date": `date("2026", payload.layout)`, "duration": `duration(payload.s) == nil`,
	}
	constant := map[string]bool{}
	for _, name := range strings.Fields("first last take type abs ceil floor round bitand bitor bitxor bitnand bitshl bitshr bitushr bitnot timezone") {
		constant[name] = true // of a list the length is all that matters, of a number and a zone nothing
	}
	for name := range builtins {
		if functions[name] == "" && !constant[name] {
			t.Errorf("no line for %s", name)
		}
	}
	for name, source := range map[string]string{
		"all": `all(payload.l, true)`, "none": `none(payload.l, false)`, "any": `any(payload.l, false)`, "one": `one(payload.l, false)`, "count": `count(payload.l, false)`,
		"filter": `filter(payload.l, false)`, "map": `map(payload.l, 1)`, "find": `find(payload.l, false)`, "findIndex": `findIndex(payload.l, false)`,
		"findLast": `findLast(payload.l, false)`, "findLastIndex": `findLastIndex(payload.l, false)`, "sum": `sum(payload.l)`, "groupBy": `groupBy(payload.ls, #)`,
		"sortBy": `sortBy(payload.l, #)`, "reduce": `reduce(payload.l, 1, 0)`,
	} {
		functions[name] = source
	}
	for name := range predicateNames {
		if functions[name] == "" {
			t.Errorf("no line for %s", name)
		}
	}
	maps.Copy(functions, map[string]string{
		"==": `payload.s == payload.t`, "== of lists": `payload.l == payload.l2`, "== of objects": `payload.o == payload.o2`, "< of text": `payload.s < payload.t`,
		"in": `"x" in payload.l`, "in of lists": `payload.l in [payload.l2]`, "in of an object": `payload.s in payload.o`, "+": `payload.s + payload.t`,
		"contains": `payload.s contains "b"`, "startsWith": `payload.s startsWith payload.t`, "endsWith": `payload.s endsWith payload.t`,
		"matches": `payload.s matches "^a*$"`, "[:]": `payload.s[1:3]`, "..": `1..payload.n`, "a list": `map(payload.l, [1, 2])`, "an object": `map(payload.l, ({"a": #}))`,
		"[name]": `payload.o[payload.s]`, "an object's key": `{(payload.s): 1}`, "a constant": `payload.s == "x"`, "value": `value`, "headers": `headers.h`,
	})
	for name, source := range functions {
		t.Run(name, func(t *testing.T) {
			small, large := charged(t, source, 2000), charged(t, source, 8000)
			if large < 3*small {
				t.Errorf("%s charges %d steps, and %d for four times as much", source, small, large)
			}
		})
	}
}

// charged is what evaluating again costs, with everything decoded: n elements, and
// texts of 100 n.
func charged(t *testing.T, source string, n int) int64 {
	t.Helper()
	s := NewScope(Options{Limits: Limits{Steps: 1 << 50, Bytes: 1 << 50}})
	e, found := s.Expression("type(" + source + ")")
	if found != nil {
		t.Fatalf("%s: %+v", source, found)
	}
	numbered := func(format string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(all, ",")
	}
	long := strings.Repeat("a", 100*n)
	value := fmt.Sprintf(`{"s":%q,"t":%q,"words":%q,"digits":%q,"layout":%q,"j":"[%s]","n":%d,"l":[%s],"l2":[%s],"ls":[%s],"o":{%s},"o2":{%s},"p":[%s]}`,
		long, long, strings.Repeat("a ", n), strings.Repeat("0", 100*n), strings.Repeat("2006", n), numbered("%d"), n, numbered("%d"), numbered("%d"),
		numbered(`"%d"`), numbered(`"%d":1`), numbered(`"%d":1`), numbered(`["%d",1]`))
	in, rec := s.NewInput(), orderRecord(value)
	for range n {
		rec.Headers = append(rec.Headers, rec.Headers[0])
	}
	if err := in.Load(rec); err != nil {
		t.Fatal(err)
	}
	var before int64
	for range 2 {
		before = in.steps
		if _, err := e.Value(in); errors.Is(err, ErrTooCostly) {
			t.Fatal(err)
		}
	}
	return in.steps - before
}

// TestDecodingIsCharged compares what decoding is charged with what it allocates.
func TestDecodingIsCharged(t *testing.T) {
	wide := make([]string, 5000)
	for i := range wide {
		wide[i] = fmt.Sprintf(`"field-%d":%d`, i, i)
	}
	for name, value := range map[string]string{
		"small objects": `[` + strings.Repeat(`{"":0},`, 5000) + `0]`, "empty objects": `[` + strings.Repeat(`{},`, 5000) + `0]`,
		"empty lists": `[` + strings.Repeat(`[],`, 5000) + `0]`, "lists of one": `[` + strings.Repeat(`[1000],`, 5000) + `0]`,
		"numbers": `[` + strings.Repeat(`12345,`, 5000) + `0]`, "fractions": `[` + strings.Repeat(`1.5,`, 5000) + `0]`, "digits": `[` + strings.Repeat("1", 5000) + `]`,
		"texts": `[` + strings.Repeat(`"a",`, 5000) + `0]`, "long texts": `[` + strings.Repeat(`"`+strings.Repeat("a", 1000)+`",`, 100) + `0]`,
		"escaped": `[` + strings.Repeat(`"\u00e4b",`, 5000) + `0]`, "nothing": `[` + strings.Repeat(`null,`, 5000) + `0]`,
		"a wide object": `{` + strings.Join(wide, ",") + `}`, "repeated names": `{` + strings.Repeat(`"a":0,`, 5000) + `"b":1}`,
		"objects of nine": `[` + strings.Repeat(`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9},`, 1000) + `0]`,
		"a record":        string(benchmarkValue(20480, true)), "deep": strings.Repeat(`{"a":[`, 400) + strings.Repeat("]}", 400),
	} {
		t.Run(name, func(t *testing.T) {
			in := aside()
			raw := []byte(value)
			in.decode(raw) // the outline's buffer
			in.steps, in.bytes = 0, 0
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			const times = 5
			for range times {
				in.decode(raw)
			}
			runtime.ReadMemStats(&after)
			made, charged := int64(after.TotalAlloc-before.TotalAlloc)/times, in.bytes/times
			if charged < made || charged > 5*made+1000 {
				t.Errorf("%d bytes are made and %d charged", made, charged)
			}
		})
	}
}

// TestCostIsTheRecords has one budget for all of a record's evaluations, and a
// new one for each record.
func TestCostIsTheRecords(t *testing.T) {
	s := NewScope(Options{Limits: Limits{Steps: 20_000, Bytes: 1 << 20}})
	e, _ := s.Expression(`len(payload.text)`)
	in, rec := s.NewInput(), orderRecord(`{"text":"`+strings.Repeat("a", 3000)+`"}`)
	var first []int64
	for range 3 {
		if err := in.Load(rec); err != nil {
			t.Fatal(err)
		}
		evaluated := 0
		for {
			_, err := e.Value(in)
			if err == nil {
				evaluated++
				continue
			}
			if !errors.Is(err, ErrTooCostly) || !strings.Contains(err.Error(), "20000 steps") {
				t.Fatal(err)
			}
			break
		}
		// What is shown of a record costs nothing.
		before := in.steps
		if reads := e.Reads(in); reads[0].Err != nil || in.steps != before {
			t.Fatalf("%v, and %d steps instead of %d", reads[0].Err, in.steps, before)
		}
		first = append(first, int64(evaluated), in.steps)
	}
	if first[0] < 1 || first[0] != first[2] || first[1] != first[3] || first[0] != first[4] {
		t.Errorf("the same record costs %v", first)
	}
	// What a transform makes is the same record.
	r := s.Result(FormatJSON)
	made, _ := r.Expression(`len(payload.text) + len(source.payload.text)`)
	in = s.NewInput()
	out := r.NewInput()
	out.Follow(in)
	if err := errors.Join(in.Load(rec), out.Load(rec)); err != nil {
		t.Fatal(err)
	}
	if _, err := made.Value(out); err != nil || in.steps < 6_000 {
		t.Errorf("%d steps, and %v", in.steps, err)
	}
}

// TestCostIsNoMatterOfOrder has objects that differ in one of many fields: whether
// that is met first or last must not show in the cost.
func TestCostIsNoMatterOfOrder(t *testing.T) {
	fields := make([]string, 20)
	for i := range fields {
		fields[i] = fmt.Sprintf(`"f%d":%q`, i, strings.Repeat("a", 10_000))
	}
	a := strings.Join(fields, ",")
	s := NewScope(Options{})
	e, _ := s.Expression(`payload.a == payload.b || payload.a in [payload.b, 1] || len(keys(groupBy(values(payload.b), #))) == 7`)
	in, rec := s.NewInput(), orderRecord(`{"a":{`+a+`},"b":{`+strings.Replace(a, `"f7":"a`, `"f7":"b`, 1)+`}}`)
	var first int64
	for range 50 {
		if err := in.Load(rec); err != nil {
			t.Fatal(err)
		}
		if v, err := e.Value(in); v != false || err != nil {
			t.Fatal(v, err)
		}
		if first == 0 {
			first = in.steps
		}
		if in.steps != first {
			t.Fatalf("it cost %d steps, and %d before", in.steps, first)
		}
	}
}
