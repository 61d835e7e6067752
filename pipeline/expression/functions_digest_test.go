package expression

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestDigestFunctions(t *testing.T) {
	checkValues(t, []one{
		{source: `sha256(payload.a)`, value: `{"a":"abc"}`, want: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{source: `sha1(payload.a)`, value: `{"a":""}`, want: "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{source: `md5(payload.a)`, value: `{"a":"abc"}`, want: "900150983cd24fb0d6963f7d28e17f72"},
		{source: `sha256(headers["x-id"])`, want: "a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89"},
		{source: `hmac("Jefe", payload.a)`, value: `{"a":"what do ya want for nothing?"}`, want: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{source: `crc32(payload.a)`, value: `{"a":"123456789"}`, want: int64(0xcbf43926)},
		{source: `uuid5("dns", payload.a)`, value: `{"a":"python.org"}`, want: "886313e1-3b8a-5372-9b90-0c9aee199e5d"},
		{source: `uuid5(payload.n, "python.org")`, value: `{"n":"6BA7B810-9dad-11d1-80b4-00c04fd430c8"}`, want: "886313e1-3b8a-5372-9b90-0c9aee199e5d"},
		{source: `uuid5(payload.n, "x")`, value: `{"n":"{6ba7b810-9dad-11d1-80b4-00c04fd430c8}"}`, err: "payload.n is text that is no UUID, nor dns, url, oid or x500: uuid5 needs one as the namespace"},
		{source: `bucket(payload.a, 100)`, value: `{"a":"o-1"}`, want: int64(22)},
		{source: `bucket(payload.a, payload.n)`, value: `{"a":"o-1","n":1}`, want: int64(0)},
		{source: `bucket(payload.a, payload.n)`, value: `{"a":"o-1","n":0}`, err: "payload.n is less than 1: there is no bucket then"},
		{source: `bucket(payload.a, payload.n)`, value: `{"a":"o-1","n":2.5}`, err: "payload.n is no whole number: bucket needs one"},
		{source: `bucket(payload.a, 9)`, value: `{"a":5}`, err: "payload.a is a number: bucket needs text"},
		{source: `sha256(payload.a)`, value: `{}`, err: "payload.a is null: sha256 needs text"},
		{source: `md5(payload.a)`, value: `{"a":5}`, err: "payload.a is a number: md5 needs text"},
		{source: `hmac(payload.a, "x")`, value: `{}`, err: "payload.a is null: hmac needs text"},
		{source: `urlEncode(payload.a)`, value: `{"a":"a b+c/ü~"}`, want: "a%20b%2Bc%2F%C3%BC~"},
		{source: `urlDecode(urlEncode(headers["x-id"]))`, want: "\xff"},
		{source: `urlDecode(payload.a)`, value: `{"a":"a+b%20c"}`, want: "a+b c"},
		{source: `urlDecode(payload.a)`, value: `{"a":"50%"}`, err: "payload.a is text in which a % begins no %41 or the like: urlDecode cannot read it"},
	})
}

func TestFormat(t *testing.T) {
	const value = `{"s":"aü","n":42,"f":1.5,"big":9007199254740993,"huge":18446744073709551616,"t":true,"l":[1,"x"]}`
	checkValues(t, []one{
		{source: `format("%s|%5s|%-5s|%.1s|%q", payload.s, payload.s, payload.s, payload.s, payload.s)`, value: value, want: `aü|   aü|aü   |a|"aü"`},
		{source: `format("%v %v %6v %v %v", payload.n, payload.f, payload.t, payload.l, payload.huge)`, value: value, want: `42 1.5   true [1,"x"] 18446744073709551616`},
		{source: `format("%05d %+d %x %X %o %b %c %U", payload.n, payload.n, payload.n, payload.s, 8, 5, 252, 252)`, value: value, want: "00042 +42 2a 61C3BC 10 101 ü U+00FC"},
		{source: `format("%.2f %8.3f %e %g %t %%", payload.f, payload.n, payload.f, payload.f, payload.t)`, value: value, want: "1.50   42.000 1.500000e+00 1.5 true %"},
		{source: `format("%.0f", payload.big)`, value: value, want: "9007199254740993"},
		{source: `format("%v", timestamp)`, value: value, want: "2026-02-03T03:05:06.007Z"},
		{source: `format("%d", 5.0)`, value: value, want: "5"},
		{source: `format("100%%")`, want: "100%"},
		{source: `format("%d", payload.f)`, value: value, err: "payload.f is no whole number: %d of format needs one"},
		{source: `format("%d", payload.s)`, value: value, err: "payload.s is text: %d of format needs a whole number"},
		{source: `format("%.2f", payload.s)`, value: value, err: "payload.s is text: %f of format needs a number"},
		{source: `format("%s", payload.n)`, value: value, err: "payload.n is a number: %s of format needs text, and %v takes any value"},
		{source: `format("%v", payload.gone)`, value: value, err: "payload.gone is null: format needs a value"},
		{source: `format("%t", payload.n)`, value: value, err: "payload.n is a number: %t of format needs true or false"},
		{source: `format("%c", payload.n)`, value: `{"n":-1}`, err: "payload.n is the number of no character"},
		{source: `format("%d", payload.huge)`, value: value, err: "payload.huge is beyond 64 bits: cannot calculate with %d of format"},
	})
}

func TestReplaceAll(t *testing.T) {
	checkValues(t, []one{
		{source: `replaceAll(payload.a, "[^0-9]+", "")`, value: `{"a":"+49 (30) 12-34"}`, want: "49301234"},
		{source: `replaceAll(payload.a, "(?P<d>\\d+)-(\\d+)", "${2}.$d$$")`, value: `{"a":"x 12-34 y"}`, want: "x 34.12$ y"},
		{source: `replaceAll(payload.a, "", "-")`, value: `{"a":"aü"}`, want: "-a-ü-"},
		{source: `replaceAll(payload.a, "\\bb", "x")`, value: `{"a":"ab b bb"}`, want: "ab x xb"},
		{source: `replaceAll(payload.a, "^a", "x$0")`, value: `{"a":"aaa"}`, want: "xaaa"},
		{source: `replaceAll(payload.a, "NAME", payload.b)`, value: `{"a":"Dear NAME","b":"A$AP $0"}`, want: "Dear A$AP $0"},
		{source: `replaceAll(payload.a, "a", "b")`, value: `{"a":5}`, err: "payload.a is a number: replaceAll needs text"},
		{source: `replaceAll(payload.a, "a", payload.b)`, value: `{"a":"a"}`, err: "payload.b is null: replaceAll needs text"},
		{source: `replaceAll(headers["x-id"], "a", "b")`, err: `headers["x-id"] is text that is not UTF-8: replaceAll cannot take it`},
	})
}

// TestConstantsOfFunctions finds mistakes in what is constant when the file is
// loaded, whatever the record's part is.
func TestConstantsOfFunctions(t *testing.T) {
	compile := func(source string) []Finding {
		_, found := NewScope(Options{Constants: testConstants()}).Expression(source)
		return found
	}
	checkFindings(t, compile, []finding{
		{source: `format(payload.p, 1)`, code: CodeNotConstant, at: `payload.p`, message: "the pattern of format must be constant text"},
		{source: `format("a %y", payload.a)`, code: CodePattern, at: "%y", message: "the pattern cannot be read: there is no verb %y", hint: "*"},
		{source: `format("100%", payload.a)`, code: CodePattern, at: "%", message: "the pattern cannot be read: this % begins no verb", hint: "write %% for the sign itself"},
		{source: `format("%1000000d", payload.a)`, code: CodePattern, at: "1000000", message: "the pattern cannot be read: a width or precision is at most 1,000"},
		{source: `format("%.99999999999999999999d", payload.a)`, code: CodePattern, at: "99999999999999999999", message: "the pattern cannot be read: a width or precision is at most 1,000"},
		{source: `format("%*d", payload.a)`, code: CodePattern, at: "%*", message: "the pattern cannot be read: widths are written out, and values taken in their order"},
		{source: `format("%+v", payload.a)`, code: CodePattern, at: "%+v", message: "the pattern cannot be read: %v has no flag but -", hint: "*"},
		{source: `format("%s %s", payload.a)`, code: CodeArguments, at: `format("%s %s", payload.a)`, message: "the pattern has 2 verbs, and format 1 value behind it"},
		{source: `format("%d", "x")`, code: CodeConstantFails, at: `format("%d", "x")`, message: `"x" is text: %d of format needs a whole number`},
		{source: `format("%d", upper(payload.a))`, code: CodeType, at: "upper(payload.a)", message: "upper(payload.a) is text: %d of format needs a number", hint: "*"},
		{source: `format("%s", len(payload.a))`, code: CodeType, at: "len(payload.a)", message: "len(payload.a) is a number: %s of format needs text", hint: "make it text: string(len(payload.a))"},
		{source: `format(file("token") + "%y", payload.a)`, code: CodePattern, at: `file("token") + "%y"`, message: "the pattern cannot be read"},
		{source: `replaceAll(payload.a, payload.b, "")`, code: CodeNotConstant, at: "payload.b", message: "the pattern of replaceAll must be constant text"},
		{source: `replaceAll(payload.a, "(a", "")`, code: CodePattern, at: "(", message: "the regular expression cannot be read: this ( is never closed", hint: "*"},
		{source: `replaceAll(payload.a, "(a)", "$2")`, code: CodePattern, at: "$2", message: "this is put in nowhere: the pattern has no group 2"},
		{source: `replaceAll(payload.a, "(a)", "$1x")`, code: CodePattern, at: "$1x", message: "this is put in nowhere: the pattern has no group 1x", hint: "write ${1}x"},
		{source: `replaceAll(payload.a, "(a)", "$1" + payload.b)`, code: CodeNotConstant, at: `"$1"`, message: "groups such as $1 can be put in by constant text alone", hint: "*"},
		{source: `uuid5("example", payload.a)`, code: CodeConstantFails, at: `"example"`, message: `"example" is text that is no UUID, nor dns, url, oid or x500: uuid5 needs one as the namespace`},
		{source: `bucket(payload.a, 0)`, code: CodeConstantFails, at: `0`, message: "0 is less than 1: there is no bucket then"},
		{source: `bucket(payload.a, 100) == 100`, code: CodeNeverEqual, at: "100", message: "bucket(payload.a, 100) is never 100", hint: "*"},
		{source: `sha256(5)`, code: CodeConstantFails, at: "sha256(5)", message: "5 is a number: sha256 needs text"},
		{source: `sha256(len(payload.a))`, code: CodeType, at: "len(payload.a)", message: "len(payload.a) is a number: sha256 needs text", hint: "make it text: string(len(payload.a))"},
		{source: `hmac(payload.a)`, code: CodeArguments, at: "hmac(payload.a)", message: "hmac takes 2 arguments, not 1"},
		{source: `encodeURIComponent(payload.a)`, code: CodeUnknownFunction, at: "encodeURIComponent", message: `unknown function "encodeURIComponent"`, hint: "here it is urlEncode(…)", fix: `urlEncode(payload.a)`},
		{source: `sprintf("%d", payload.a)`, code: CodeUnknownFunction, at: "sprintf", message: `unknown function "sprintf"`, hint: "here it is format(…)", fix: `format("%d", payload.a)`},
	})
	for _, source := range []string{`format(env.PATTERN + "%s", "x")`, `replaceAll(payload.a, env.PATTERN, "$0")`, `payload.x ? bucket(payload.a, 10) : 3`, `bucket(payload.a, 100) < 5`} {
		if found := compile(source); found != nil {
			t.Errorf("%s: %+v", source, found)
		}
	}
}

// TestOpenConstantsOfFunctions: what is not known yet is no mistake, and makes nothing
// that could be run.
func TestOpenConstantsOfFunctions(t *testing.T) {
	constants := testConstants()
	constants.Skip = true
	for _, source := range []string{
		`format(env.GONE, payload.a)`, `format("%s %s", payload.a, env.GONE)`, `replaceAll(payload.a, env.GONE, "")`, `replaceAll(payload.a, "a", env.GONE)`,
		`uuid5(env.GONE, payload.a)`, `bucket(payload.a, int(env.GONE))`, `hmac(env.GONE, payload.a)`,
	} {
		s := NewScope(Options{Constants: constants})
		e, found := s.Expression(source)
		if found != nil {
			t.Errorf("%s: %+v", source, found)
			continue
		}
		if _, err := e.Value(one{value: `{"a":"x"}`}.input(t, s)); err != nil && err.Error() == readable(errors.New("")).Error() {
			t.Errorf("%s: %v: it must fail by its own words, or not at all", source, err)
		}
	}
}

// TestDigestsOfSecrets: what is made of a secret is one.
func TestDigestsOfSecrets(t *testing.T) {
	constants := testConstants()
	var told []string
	constants.Secret = func(text string) { told = append(told, text) }
	for source, want := range map[string]string{
		`sha256(file("token"))`: "", `hmac(file("token"), "x")`: "", `uuid5("dns", file("token"))`: "", `string(crc32(file("token")))`: "",
		`urlEncode(file("token"))`: "s3cr3t%28", `format("Bearer %s", file("token"))`: "Bearer s3cr3t(", `replaceAll(file("token"), "3", "e")`: "secret(",
	} {
		told = nil
		e, found := NewScope(Options{Constants: constants}).Expression(source)
		if found != nil {
			t.Fatal(source, found)
		}
		v := e.term.value
		if !e.term.constant || !e.secret || !slices.Contains(told, fmt.Sprint(v)) || want != "" && v != want {
			t.Errorf("%s is %v, a secret %v; told are %q", source, v, e.secret, told)
		}
	}
	e, _ := NewScope(Options{Constants: constants}).Expression(`hmac(file("token"), payload.a)`)
	if !e.secret {
		t.Error("what a secret and a record make is not secret")
	}
}

// TestGrowthIsBounded: what would grow without bound is too costly before it is
// there.
func TestGrowthIsBounded(t *testing.T) {
	long := `{"a":"` + strings.Repeat("a", 1<<20) + `","x":"` + strings.Repeat("a", 200_000) + `","n":[` + strings.Repeat("1,", 9999) + `1]}`
	s := NewScope(Options{})
	for _, source := range []string{
		`replaceAll(payload.a, "a", payload.a)`, `replaceAll(payload.a, "a", "` + strings.Repeat("$0", 1000) + `")`, `replaceAll(payload.a, "", "` + strings.Repeat("x", 1000) + `")`,
		`replaceAll(payload.x, ".*x|a", "")`, `replaceAll(payload.x, "(?s:(.*)b)|a", "$1")`, `replaceAll(payload.x, "a(a*b)?", "")`, `replaceAll(payload.x, "(?i)a(\\pL+é)?", "")`,
		`map(payload.n, format("` + strings.Repeat("%1000d", 100) + `"` + strings.Repeat(", #", 100) + `))`,
		`map(payload.n, format("%s", payload.a))`, `map(payload.n, sha256(payload.a))`,
	} {
		e, found := s.Expression(source)
		if found != nil {
			t.Fatalf("%.50s: %+v", source, found)
		}
		in := one{value: long}.input(t, s)
		if _, err := e.Value(in); !errors.Is(err, ErrTooCostly) {
			t.Errorf("%.50s: %v", source, err)
		}
		if in.bytes > 2*in.limits.Bytes+64<<20 {
			t.Errorf("%.50s made %d bytes", source, in.bytes)
		}
	}
}
