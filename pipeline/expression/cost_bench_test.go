//go:build unix

package expression

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

type worstCase struct {
	name, source string
	value        func() []byte
}

const mebibyte = 1 << 20

// worstCases are what has been found to take longest, by reading and by the search
// that FuzzCost is: each on a record of about 1 MiB.
func worstCases() []worstCase {
	list := func(name, item string, n int) string {
		return fmt.Sprintf("%q:[%s]", name, strings.TrimSuffix(strings.Repeat(item+",", n), ","))
	}
	record := func(fields ...string) func() []byte {
		return func() []byte { return []byte("{" + strings.Join(fields, ",") + "}") }
	}
	many := list("items", "0", 10_000)
	long := `"text":"` + strings.Repeat("a", mebibyte) + `"`
	return []worstCase{
		{"list in list", `payload.tag in payload.tags`, record(list("tag", "0", mebibyte/4), list("tags", "0", mebibyte/4))},
		{"list in lists", `payload.tag in payload.tags`, record(list("tag", "0", 100), list("tags", "["+strings.Repeat("0,", 99)+"0]", mebibyte/200))},
		{"mean in a loop", `any(payload.items, # > mean(payload.prices))`, record(many, list("prices", "1", mebibyte/2))},
		{"matches in a loop", `any(payload.items, payload.text matches "^(a+)+b$")`, record(many, long)},
		{"matches with a large pattern", `payload.text matches "(x?a?){300}b$"`, record(long)},
		{"matches one pass", `payload.text matches "^[a-z]+$"`, record(long)},
		{"matches letters", `payload.text matches "(?i)(straße|\\pL+é)$"`, record(long)},
		{"replaceAll looks ahead", `len(replaceAll(payload.text, ".*x|a", ""))`, record(`"text":"` + strings.Repeat("a", 4000) + `"`)},
		{"replaceAll of each letter", `len(replaceAll(payload.text, "a", "b"))`, record(`"text":"` + strings.Repeat("a", 200_000) + `"`)},
		{"replaceAll of short texts", `any(payload.texts, replaceAll(#, "(a|b)+", "x$1") == "")`, record(list("texts", `"abcdefgh"`, 10_000))},
		{"replaceAll by groups", `len(replaceAll(payload.text, "(a)(b)?", "$1$2"))`, record(`"text":"` + strings.Repeat("ab", 50_000) + `"`)},
		{"replaceAll with a large pattern", `len(replaceAll(payload.text, "(x?a?){300}b|a", ""))`, record(`"text":"` + strings.Repeat("a", 3000) + `"`)},
		{"md5 in a loop", `any(payload.items, md5(payload.text) == "")`, record(many, long)},
		{"sha256 in a loop", `any(payload.items, sha256(payload.text) == "")`, record(many, long)},
		{"sha256 of short texts", `any(payload.texts, any(payload.texts, sha256(#) == ""))`, record(list("texts", `"abcdefgh"`, 10_000))},
		{"format of fractions", `any(payload.tiny, any(payload.tiny, format("%.1000f%.2f", #, #) == ""))`, record(list("tiny", `1e-300`, 10_000))},
		{"format of texts", `any(payload.items, format("%+q", payload.text) == "")`, record(many, `"text":"`+strings.Repeat("é", mebibyte/2)+`"`)},
		{"format wide", `any(payload.items, any(payload.items, format("%1000d%-1000d%1000v", #, #, #) == ""))`, record(many)},
		{"urlDecode in a loop", `any(payload.items, urlDecode(payload.text) == "")`, record(many, `"text":"`+strings.Repeat("%41", mebibyte/3)+`"`)},
		{"contains in a loop", `any(payload.items, payload.text contains "aaaaaaaab")`, record(many, long)},
		{"contains a long text", `any(payload.items, payload.text contains payload.part)`, record(many, long, `"part":"`+strings.Repeat("a", 1000)+`b"`)},
		{"len in a loop", `any(payload.items, len(payload.text) == 0)`, record(many, long)},
		{"lastIndexOf in a loop", `any(payload.items, lastIndexOf(payload.text, "ba") > 0)`, record(many, long)},
		{"trim by a large set", `len(trim(payload.text, payload.set))`, record(`"text":"`+strings.Repeat("é", mebibyte/4)+`"`, `"set":"ü`+strings.Repeat("é", mebibyte/4)+`"`)},
		{"upper umlauts", `any(payload.items, upper(payload.text) == "")`, record(many, `"text":"`+strings.Repeat("é", mebibyte/2)+`"`)},
		{"arithmetic in loops", `count(payload.items, count(payload.items, # * 3 + # % 7 - # / 2 == -1) == 1) == 1`, record(many)},
		{"nested any", `any(payload.items, any(payload.items, .n == 1))`, record(list("items", `{"n":0}`, 10_000))},
		{"texts in loops", `any(payload.texts, any(payload.texts, # + "x" == ""))`, record(list("texts", `"abcdefgh"`, 10_000))},
		{"objects in loops", `count(payload.items, count(payload.items, len({"a": #, "b": #}) == 1) == 1) == 1`, record(many)},
		{"lists in loops", `count(payload.items, count(payload.items, len([#, #, #, #]) == 1) == 1) == 1`, record(many)},
		{"dates in loops", `count(payload.texts, date(#).Unix() == 1) == 1`, record(list("texts", `"Mon, 02 Jan 2006 15:04:05 MST"`, 10_000))},
		{"dates with a zone", `count(payload.texts, date(#, "2006", "Europe/Berlin").Unix() == 1) == 1`, record(list("texts", `"2006"`, 10_000))},
		{"sort", `first(sort(payload.items))`, record(list("items", `"abcdefghijklmnop"`, 50_000))},
		{"sort in a loop", `any(payload.items, first(sort(payload.items)) == 1)`, record(many)},
		{"uniq", `len(uniq(payload.items))`, record(list("items", `{"a":[1.5,"x"]}`, mebibyte/16))},
		{"toJSON", `len(toJSON(payload))`, record(list("items", `0.1`, mebibyte/4))},
		{"toJSON of objects", `len(toJSON(payload))`, record(list("items", `{"b":1,"a":0}`, mebibyte/14))},
		{"fromJSON", `len(fromJSON(payload.text))`, record(`"text":"[` + strings.Repeat(`{\"\":0},`, mebibyte/10) + `0]"`)},
		{"decode objects", `any(payload.items, .a == 1)`, record(list("items", `{"":0}`, mebibyte/7))},
		{"decode lists", `any(payload.items, # == 1)`, record(list("items", `[]`, mebibyte/3))},
		{"decode texts", `any(payload.items, # == 1)`, record(list("items", `"a"`, mebibyte/4))},
		{"payload == source.payload", `payload == source.payload`, record(list("items", `[0]`, mebibyte/4))},
		{"canonical objects", `payload`, record(list("items", `{"":0}`, mebibyte/7))},
		{"canonical deep", `payload`, func() []byte {
			return []byte(strings.Repeat(`{"b":1,"a":`, 990) + `"` + strings.Repeat("x", mebibyte) + `"` + strings.Repeat("}", 990))
		}},
		{"canonical halves", `payload.text`, record(`"text":"` + strings.Repeat(`\ud800`, mebibyte/6) + `"`)},
		{"canonical wide", `payload`, func() []byte {
			fields := make([]string, 0, 80_000)
			for i := range 80_000 {
				fields = append(fields, fmt.Sprintf(`"%d":0`, i))
			}
			return []byte("{" + strings.Join(fields, ",") + "}")
		}},
		{"big numbers", `any(payload.items, # == 1e300)`, record(list("items", strings.Repeat("1", 100), 10_000))},
		{"tiny numbers", `any(payload.items, # == 1)`, record(list("items", "2e-324", mebibyte/7))},
		{"huge numbers", `sum(payload.items) == 1`, record(list("items", "1e400", mebibyte/6))},
		{"fractions", `max(payload.items) == 1`, record(list("items", "9007199254740993.0", mebibyte/20))},
		{"a tiny text", `any(payload.texts, float(#) == 1)`, record(list("texts", `"2e-324"`, 10_000))},
		{"escaped text", `any(payload.items, payload.text == "x")`, record(many, `"text":"`+strings.Repeat(`\n`, mebibyte/2)+`"`)},
		{"value in a loop", `any(payload.items, value == "x")`, record(many, long)},
		{"reduce text", `reduce(payload.items, #acc + "xxxxxxxxxxxxxxxx", "")`, record(many)},
		{"map of many", `len(map(payload.many, ({"a": #, "b": [#]})))`, record(list("many", "0", 100_000))},
		{"sortBy of many", `len(sortBy(payload.many, -#))`, record(list("many", "0", 100_000))},
		{"group many", `len(groupBy(payload.many, string(# % 1000)))`, record(list("many", "0", 100_000))},
		{"many in many", `any(payload.many, any(payload.many, # == 1))`, record(list("many", "0", 100_000))},
		{"reduce many", `reduce(payload.many, #acc + # * 2, 0)`, record(list("many", "0", 100_000))},
		{"find last of many", `findLast(payload.many, # == 1)`, record(list("many", "0", 100_000))},
		{"range of many", `count(1..100000, # == 1)`, record(`"a":1`)},
		{"group", `len(groupBy(payload.texts, #))`, record(list("texts", `"abc"`, 10_000))},
	}
}

// BenchmarkWorst is what a record of 1 MiB costs at worst: ms in all, and ns for a
// step of what is charged. A step is some 2 ns, or the limits say nothing.
func BenchmarkWorst(b *testing.B) {
	for _, c := range worstCases() {
		b.Run(strings.ReplaceAll(c.name, " ", "_"), func(b *testing.B) {
			value := c.value()
			var took time.Duration
			var steps int64
			var err error
			for b.Loop() {
				var t time.Duration
				if t, steps, err = costOf(c.source, value); t > took {
					took = t
				}
			}
			costly := 0.0
			if errors.Is(err, ErrTooCostly) {
				costly = 1
			} else if err != nil {
				b.Log(err)
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(steps), "ns/step")
			b.ReportMetric(float64(took.Microseconds())/1000, "worst-ms")
			b.ReportMetric(float64(steps)/1e6, "Msteps")
			b.ReportMetric(costly, "too-costly")
		})
	}
}
