package expression

import (
	"fmt"
	"slices"
	"strings"
)

// drawn makes expressions and records of bytes, by the grammar: what is drawn
// mostly compiles, and is as long, as deep and as nested as the bytes say.
type drawn struct {
	bytes []byte
	// loops is how many predicates are open, size how many nodes may still come.
	loops, size int
	lets        []string
}

func (d *drawn) next(n int) int {
	if len(d.bytes) == 0 || n <= 1 {
		return 0
	}
	b := int(d.bytes[0])
	d.bytes = d.bytes[1:]
	return b % n
}

// pick draws one of several ways, the first where no bytes or nodes are left.
func (d *drawn) pick(ways ...func() string) string {
	if d.size--; d.size < 0 {
		return ways[0]()
	}
	return ways[d.next(len(ways))]()
}

func (d *drawn) field(names string) func() string {
	return func() string {
		all := strings.Fields(names)
		name := all[d.next(len(all))]
		if d.loops > 0 && d.next(3) == 0 {
			return "#"
		}
		return "payload." + name
	}
}

func (d *drawn) form(format string, kinds ...func() string) func() string {
	return func() string {
		args := make([]any, len(kinds))
		for i, k := range kinds {
			args[i] = k()
		}
		return fmt.Sprintf(format, args...)
	}
}

func (d *drawn) constant(words ...string) func() string {
	return func() string { return words[d.next(len(words))] }
}

// over is a predicate function on a list.
func (d *drawn) over(format string, body func() string) func() string {
	return func() string {
		list := d.list()
		if d.loops >= maxPredicates {
			return list
		}
		d.loops++
		defer func() { d.loops-- }()
		return fmt.Sprintf(format, list, body())
	}
}

func (d *drawn) list() string {
	ways := []func() string{
		d.field("numbers texts lists objects pairs bigs same"), d.form("[%s, %s, %s]", d.any, d.any, d.any), d.form("%s..%s", d.number, d.number),
		d.over("map(%s, %s)", d.any), d.over("filter(%s, %s)", d.truth), d.over("sortBy(%s, %s)", d.any),
		d.form("concat(%s, %s)", d.list, d.list), d.form("sort(%s)", d.list), d.form("uniq(%s)", d.list), d.form("flatten(%s)", d.list),
		d.form("reverse(%s)", d.list), d.form("keys(%s)", d.object), d.form("values(%s)", d.object), d.form("toPairs(%s)", d.object),
		d.form("split(%s, %s)", d.text, d.text), d.form("splitAfter(%s, %s)", d.text, d.text), d.form("%s[%s:%s]", d.list, d.number, d.number),
		d.form("take(%s, %s)", d.list, d.number),
	}
	return d.pick(ways...)
}

func (d *drawn) object() string {
	return d.pick(d.field("object deep wide"), d.form(`({"a": %s, (string(%s)): %s})`, d.any, d.text, d.any), d.over("groupBy(%s, string(%s))", d.text),
		d.form("fromPairs(%s)", d.field("pairs")), d.form("fromJSON(%s)", d.text))
}

func (d *drawn) text() string {
	return d.pick(d.field("text umlauts same json base64 digits escaped"), d.constant(`"a"`, `"é"`, `""`, `"aaaaaaaaaaaaaaaab"`, `topic`, `key`, `value`, `headers.h`),
		d.form("%s + %s", d.text, d.text), d.form("upper(%s)", d.text), d.form("lower(%s)", d.text), d.form("trim(%s, %s)", d.text, d.text),
		d.form("trim(%s)", d.text), d.form("trimPrefix(%s, %s)", d.text, d.text), d.form("replace(%s, %s, %s)", d.text, d.text, d.text),
		d.form("join(%s, %s)", d.list, d.text), d.form("toJSON(%s)", d.any), d.form("string(%s)", d.any), d.form("toBase64(%s)", d.text),
		d.form("fromBase64(%s)", d.text), d.form("%s[%s:%s]", d.text, d.number, d.number),
		d.form(`timestamp.Format(%s)`, d.text), d.form("type(%s)", d.any), d.form("sha256(%s)", d.text), d.form("md5(%s)", d.text),
		d.form("hmac(%s, %s)", d.text, d.text), d.form(`uuid5("dns", %s)`, d.text), d.form("urlEncode(%s)", d.text), d.form("urlDecode(%s)", d.text),
		d.form(`format(%s, %s, %s)`, d.constant(`"%q%v"`, `"%+q%-1000v"`, `"%# x%.9v"`), d.text, d.any),
		d.form(`format(%s, %s, %s)`, d.constant(`"%.1000f%1000d"`, `"%.2f%b"`, `"%g%U"`), d.number, d.number),
		d.form("replaceAll(%s, %s, %s)", d.text, d.replaced, d.text), d.form("replaceAll(%s, %s, %s)", d.text, d.replaced, d.constant(`"$0$0$0"`, `"$$"`, `""`)))
}

func (d *drawn) replaced() string {
	return d.constant(`"a"`, `""`, `".*x|a"`, `"(a+)+b|a"`, `"(x?){200}"`, `"[^b]{1,300}é|a"`, `"\\b"`, `"(?i)straße|\\pL"`, `"a|(a*)b$"`, `"(.)"`)()
}

func (d *drawn) number() string {
	return d.pick(d.field("number big fraction"), d.constant("0", "1", "3", "9000", "-1", "0.5", "12345678901234567890123"), d.form("len(%s)", d.any),
		d.form("%s + %s", d.number, d.number), d.form("%s * %s", d.number, d.number), d.form("%s %% %s", d.number, d.number), d.form("%s ** %s", d.number, d.number),
		d.form("indexOf(%s, %s)", d.text, d.text), d.form("lastIndexOf(%s, %s)", d.text, d.text), d.form("int(%s)", d.text), d.form("float(%s)", d.text),
		d.form("max(%s)", d.list), d.form("mean(%s, %s)", d.list, d.list), d.form("median(%s)", d.list), d.form("round(%s)", d.number),
		d.over("sum(%s, %s)", d.number), d.over("count(%s, %s)", d.truth), d.over("findIndex(%s, %s)", d.truth), d.over("findLastIndex(%s, %s)", d.truth),
		d.over("reduce(%s, #acc + %s, 0)", d.number), d.form("bitxor(%s, %s)", d.number, d.number), d.form("date(%s).Unix()", d.text),
		d.form("crc32(%s)", d.text), d.form("bucket(%s, %s)", d.text, d.number))
}

func (d *drawn) truth() string {
	return d.pick(d.form("%s == %s", d.any, d.any), d.form("%s in %s", d.any, d.list), d.form("%s in %s", d.text, d.object),
		d.form("%s < %s", d.number, d.number), d.form("%s < %s", d.text, d.text), d.form("%s contains %s", d.text, d.text),
		d.form("%s startsWith %s", d.text, d.text), d.form("%s endsWith %s", d.text, d.text),
		d.form("%s matches %s", d.text, d.constant(`"^(a+)+b$"`, `"(x?){200}$"`, `"a.*b.*c.*d"`, `"[^b]{1,300}é"`, `"(?i)straße|\\pL+$"`, `"^a*$"`, `"(a|aa|aaa)*b"`)),
		d.over("any(%s, %s)", d.truth), d.over("all(%s, %s)", d.truth), d.over("none(%s, %s)", d.truth), d.over("one(%s, %s)", d.truth),
		d.form("%s && %s", d.truth, d.truth), d.form("%s || %s", d.truth, d.truth), d.form("!(%s)", d.truth), d.form("hasPrefix(%s, %s)", d.text, d.text),
		d.constant("true", "false"))
}

func (d *drawn) any() string {
	return d.pick(d.field("text numbers object deep lists objects same number"), d.list, d.object, d.text, d.number, d.truth,
		d.form("(%s ? %s : %s)", d.truth, d.any, d.any), d.form("(%s ?? %s)", d.any, d.any), d.form("%s[%s]", d.list, d.number), d.form("%s[%s]", d.object, d.text),
		d.let, d.over("find(%s, %s)", d.truth), d.over("findLast(%s, %s)", d.truth), d.form("first(%s)", d.list), d.form("get(%s, %s)", d.list, d.number),
		d.over("reduce(%s, [#acc, %s], 0)", d.any), d.variable)
}

func (d *drawn) let() string {
	name := fmt.Sprintf("v%d", len(d.lets))
	value := d.any()
	d.lets = append(d.lets, name)
	defer func() { d.lets = slices.Delete(d.lets, len(d.lets)-1, len(d.lets)) }()
	return fmt.Sprintf("(let %s = %s; %s)", name, value, d.any())
}

func (d *drawn) variable() string {
	if len(d.lets) == 0 {
		return "1"
	}
	return d.lets[d.next(len(d.lets))]
}

// record is a JSON value of about size bytes, most of it in a few of its fields.
func (d *drawn) record(size int) []byte {
	shares := map[string]int{}
	for range 3 {
		shares[drawnFields[d.next(len(drawnFields))]] += size / 3
	}
	fields := []string{`"number":7`, `"big":123456789012345678901234567890`, `"fraction":0.1`}
	for _, name := range drawnFields {
		n := shares[name]
		if n == 0 {
			n = 40
		}
		fields = append(fields, fmt.Sprintf("%q:%s", name, drawnValue(name, n, d.next(4))))
	}
	return []byte("{" + strings.Join(fields, ",") + "}")
}

var drawnFields = strings.Fields("text umlauts same json base64 digits escaped numbers texts lists objects pairs bigs object deep wide")

// drawnValue is the JSON of a field in about n bytes.
func drawnValue(name string, n, variant int) string {
	times := func(item string) string {
		return strings.TrimSuffix(strings.Repeat(item+",", max(1, n/(len(item)+1))), ",")
	}
	numbered := func(format string) string {
		var all []string
		for i := 0; len(all)*len(format) < n; i++ {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ",")
	}
	switch name {
	case "text", "same":
		return `"` + strings.Repeat("a", n) + `"`
	case "umlauts":
		return `"` + strings.Repeat("é", n/2) + `"`
	case "json":
		inner := []string{`{\"\":0}`, `[]`, `\"a\"`, `1e5`}[variant]
		return `"[` + strings.TrimSuffix(strings.Repeat(inner+",", max(1, n/(len(inner)+1))), ",") + `]"`
	case "base64":
		return `"` + strings.Repeat("YWFh", n/4) + `"`
	case "digits":
		return `"` + strings.Repeat("1", n) + `"`
	case "escaped":
		return `"` + strings.Repeat([]string{`\n`, `\u0041`, `\ud800`, `\\`}[variant], n/6) + `"`
	case "numbers":
		return "[" + times([]string{"0", "7", "0.1", "1e300"}[variant]) + "]"
	case "bigs":
		return "[" + times([]string{"1e400", "9999999999999999999999", "2e-324", strings.Repeat("1", 300)}[variant]) + "]"
	case "texts":
		return "[" + times([]string{`"a"`, `""`, `"aaaaaaaaaaaaaaaaaaaaaaaaaaaa"`, `"é"`}[variant]) + "]"
	case "lists":
		return "[" + times([]string{"[]", "[0]", "[[[[]]]]", `["a",1]`}[variant]) + "]"
	case "objects":
		return "[" + times([]string{`{"":0}`, "{}", `{"a":{"b":1}}`, `{"n":1,"s":"x"}`}[variant]) + "]"
	case "pairs":
		return "[" + numbered(`["k%d",0]`) + "]"
	case "object":
		return "{" + numbered([]string{`"%d":0`, `"a":%d`, `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa%d":1`, `"é%d":{}`}[variant]) + "}"
	case "wide":
		return "{" + numbered(`"k%d":[]`) + "}"
	default: // deep
		depth := min(900, n/8)
		return strings.Repeat(`{"b":1,"a":`, depth) + `"` + strings.Repeat("x", max(0, n-12*depth)) + `"` + strings.Repeat("}", depth)
	}
}
