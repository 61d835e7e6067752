package expression

import (
	"errors"
	"strings"
	"testing"
)

// testConstants has one variable, one empty one, and one secret file.
func testConstants() Constants {
	return Constants{
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{
				"PORT": "8080", "EMPTY": "", "PATTERN": "^a", "FIELD": "a", "LEVEL": "5", "ENABLED": "true",
				"ODD": "ab#cd/%zz", "BASE": "http://h/b c?x=ü", "LINES": "abc\n", "PERCENT": "http://h/50%", "DOTS": "..",
			}[name]
			return v, ok
		},
		File: func(path string) (string, error) {
			if path == "token" {
				return "s3cr3t(", nil
			}
			return "", errors.New("open " + path + ": no such file")
		},
	}
}

// finding is what one source is found to have wrong.
type finding struct {
	source string
	code   string
	// at is the text that the finding points at.
	at      string
	message string
	hint    string
	fix     string
}

func checkFindings(t *testing.T, compile func(source string) []Finding, rows []finding) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.source, func(t *testing.T) {
			found := compile(row.source)
			if len(found) == 0 {
				t.Fatal("nothing found")
			}
			f := found[0]
			if f.Offset < 0 || f.End < f.Offset || f.End > len(row.source) {
				t.Fatalf("%d to %d of %d bytes", f.Offset, f.End, len(row.source))
			}
			got := finding{row.source, f.Code, row.source[f.Offset:f.End], f.Message, f.Hint, f.Fix}
			if row.hint == "*" {
				got.hint = "*"
			}
			if got != row {
				t.Fatalf("got\n%+v, want\n%+v", got, row)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	compile := func(source string) []Finding {
		_, found := NewScope(Options{Constants: testConstants()}).Condition(source)
		return found
	}
	checkFindings(t, compile, []finding{
		{source: "", code: CodeEmpty, message: "the expression is empty"},
		{source: "  ", code: CodeEmpty, at: "  ", message: "the expression is empty"},
		{source: `payload.a = "x"`, code: CodeSyntax, at: "=", message: `unexpected "="`, hint: "compare with ==", fix: `payload.a == "x"`},
		{source: `payload.a === "x"`, code: CodeSyntax, at: "===", message: `unexpected "==="`, hint: "== and != have two characters here", fix: `payload.a == "x"`},
		{source: `payload.a <> "x"`, code: CodeSyntax, at: "<>", message: `unexpected "<>"`, hint: "unequal is written !=", fix: `payload.a != "x"`},
		{source: `payload.a AND true`, code: CodeSyntax, at: "AND", message: `unexpected "AND"`, hint: "operators are written in small letters: and", fix: "payload.a and true"},
		{source: `payload.a == “x”`, code: CodeSyntax, at: "“", message: "curly quotes are no quotes", hint: `write text in straight quotes: "…"`, fix: `payload.a == "x"`},
		{source: `"é" == payload.é.ü =`, code: CodeSyntax, at: "=", message: `unexpected "="`, hint: "compare with =="},
		{source: `${payload.a}`, code: CodeSyntax, at: "${", message: "${ } does not belong into an expression", hint: "this field is an expression: write it without ${ }", fix: "payload.a"},
		{source: `payload.a == "x`, code: CodeSyntax, at: `"`, message: "the text that begins here is never closed", hint: `close it with "`},
		{source: `order-${payload.a}`, code: CodeSyntax, at: "${", message: "${ } does not belong into an expression", hint: `this field is an expression: text is joined by +, "order-" + payload.a`},
		{source: `payload.a in ["a" "b"]`, code: CodeSyntax, at: `"b"`, message: `unexpected "b"`, hint: "something is missing between the two texts: a comma, or + to join them"},
		{source: `payload.a &&`, code: CodeSyntax, at: "&", message: "the expression ends too early"},
		{source: `payload.a => 3`, code: CodeSyntax, at: "=>", message: `unexpected "=>"`, hint: "at least is written >=", fix: "payload.a >= 3"},
		{source: `any(payload.a, x => x.b > 3)`, code: CodeSyntax, at: "=>", message: `unexpected "=>"`, hint: "*"},
		{source: `startsWith(payload.a, "x")`, code: CodeSyntax, at: "startsWith", message: `unexpected "startsWith"`, hint: `write payload.a startsWith "x"`, fix: `payload.a startsWith "x"`},
		{source: `!matches(payload.a ?? "", "x,(") && true`, code: CodeSyntax, at: "matches", message: `unexpected "matches"`, hint: `write (payload.a ?? "") matches "x,("`, fix: `!((payload.a ?? "") matches "x,(") && true`},
		{source: `payload.'order id' == "x"`, code: CodeSyntax, at: "'order id'", message: "a name behind a dot has no quotes", hint: `write payload["order id"]`, fix: `payload["order id"] == "x"`},
		{source: `https://x/${payload.a}`, code: CodeSyntax, at: ":", message: `unexpected ":"`, hint: `this field is an expression: text is joined by +, "https://x/" + payload.a`},
		{source: `12:30`, code: CodeSyntax, at: ":", message: `unexpected ":"`, hint: `text needs quotes: "12:30"`},
		{source: `(payload.a`, code: CodeSyntax, at: "(", message: "this ( is never closed", hint: "add )"},
		{source: `payload.a > 1 ?? 2 + 1`, code: CodeSyntax, at: "+", message: "?? cannot stand beside another operator: put one of the two in brackets"},

		{source: `paylod.a`, code: CodeUnknownName, at: "paylod", message: `unknown name "paylod"`, hint: `did you mean "payload"?`, fix: "payload.a"},
		{source: `payload.status == purchased`, code: CodeUnknownName, at: "purchased", message: `unknown name "purchased"`, hint: `text needs quotes: "purchased"; a field of the payload is payload.purchased`},
		{source: `payload.a == null`, code: CodeUnknownName, at: "null", message: `unknown name "null"`, hint: "write nil", fix: "payload.a == nil"},
		{source: `source.paylod`, code: CodeUnknownName, at: "paylod", message: "unknown name source.paylod", hint: "*"},
		{source: `$env.payload`, code: CodeUnknownName, at: "$env", message: "$env cannot be used"},
		{source: `any(payload, #foo)`, code: CodeUnknownName, at: "#", message: "unknown name #foo: there are #, #index and, in reduce, #acc"},
		{source: `let payload = 1; payload`, code: CodeUnknownName, at: "payload = 1; payload", message: "let cannot declare payload again: the name is taken"},
		{source: `source`, code: CodeNotOffered, at: "source", message: "source is no value by itself", hint: "*"},
		{source: `env`, code: CodeNotOffered, at: "env", message: "env is no value by itself", hint: "*"},

		{source: `lenn(payload.a) > 1`, code: CodeUnknownFunction, at: "lenn", message: `unknown function "lenn"`, hint: `did you mean "len"?`, fix: "len(payload.a) > 1"},
		{source: `startswith(payload.a, "x")`, code: CodeUnknownFunction, at: "startswith", message: `unknown function "startswith"`, hint: `write payload.a startsWith "x"`},
		{source: `env("X") == "x"`, code: CodeUnknownFunction, at: "env", message: `unknown function "env"`, hint: "write env.X", fix: `env.X == "x"`},
		{source: `header("x-y") == "x"`, code: CodeUnknownFunction, at: "header", message: `unknown function "header"`, hint: `write headers["x-y"]`, fix: `headers["x-y"] == "x"`},
		{source: `timestamp("2024-01-01") == nil`, code: CodeUnknownFunction, at: "timestamp", message: `unknown function "timestamp"`, hint: `write date("2024-01-01")`, fix: `date("2024-01-01") == nil`},
		{source: `payload.a.toLowerCase() == "x"`, code: CodeUnknownFunction, at: "toLowerCase", message: "unknown method toLowerCase", hint: "here it is lower(payload.a)", fix: `lower(payload.a) == "x"`},
		{source: `timestamp.Local() == nil`, code: CodeUnknownFunction, at: "Local", message: "unknown method Local", hint: "here it is UTC() or In(timezone(…))"},
		{source: `timestamp.Add()`, code: CodeArguments, at: "timestamp.Add", message: "Add takes 1 argument, not 0"},
		{source: `upper() == "x"`, code: CodeArguments, at: "upper", message: "upper takes 1 argument, not 0"},
		{source: `split(payload.a)`, code: CodeArguments, at: "split(payload.a)", message: "split takes 2 to 3 arguments, not 1"},

		{source: `payload.a > true`, code: CodeType, at: "true", message: "true is a boolean: > cannot take it"},
		{source: `payload.a * "x"`, code: CodeType, at: `"x"`, message: `"x" is text: * cannot take it`},
		{source: `payload.a && "x"`, code: CodeType, at: `"x"`, message: `"x" is text: && needs true or false`},
		{source: `topic.name == "x"`, code: CodeType, at: "name", message: "topic is text: it has no field name", hint: "fields are read from payload: payload.name"},
		{source: `value.name == "x"`, code: CodeType, at: "name", message: "value is text: it has no field name", hint: "fields are read from payload: payload.name"},
		{source: `value["na" + "me"] == "x"`, code: CodeType, at: `"na" + "me"`, message: `value is text: it has no field "na" + "me"`},
		{source: `payload.a in "abc"`, code: CodeType, at: `"abc"`, message: `"abc" is text: in looks into lists and objects`, hint: "part of a text is found by: text contains part"},
		{source: `1 / 0`, code: CodeConstantFails, at: "1 / 0", message: "1 / 0: division by zero"},
		{source: `payload.a > int("x")`, code: CodeConstantFails, at: `int("x")`, message: `"x" is text that is no whole number of 64 bits: int cannot read it`},
		{source: `"x"`, code: CodeCondition, at: `"x"`, message: "a condition must be true or false, and this is text"},
		{source: `len(payload.a)`, code: CodeCondition, at: "len(payload.a)", message: "a condition must be true or false, and this is a number", hint: "compare it: len(payload.a) > 0"},

		{source: `now() > timestamp`, code: CodeImpure, at: "now", message: "now() cannot be used: what happens to a record must depend on the record and the configuration alone", hint: "timestamp is the record's own time"},
		{source: `timestamp.In(timezone(payload.tz)).Hour() > 1`, code: CodeImpure, at: "payload.tz", message: "the name of a time zone must be constant"},
		{source: `date("x", "y", payload.tz) == nil`, code: CodeImpure, at: "payload.tz", message: "the name of a time zone must be constant"},
		{source: `timezone("Local") == nil`, code: CodeConstantFails, at: `timezone("Local")`, message: "the time zone of timezone must be a name such as Europe/Berlin"},
		{source: `repeat("x", 5) == ""`, code: CodeRefused, at: `repeat("x", 5)`, message: "repeat cannot be used: what it makes has no bound"},
		{source: `payload.a matches payload.b`, code: CodeNotConstant, at: "payload.b", message: "the right side of matches must be constant text"},
		{source: `payload.a matches "("`, code: CodePattern, at: "(", message: "the regular expression cannot be read: this ( is never closed", hint: "*"},
		{source: `payload.a matches file("token")`, code: CodePattern, at: `file("token")`, message: "the regular expression cannot be read"},
		{source: `any(payload.a, any(#, any(#, true)))`, code: CodeRefused, at: "any(#, true)", message: "predicates are nested deeper than 2"},
		{source: `b"x" == value`, code: CodeRefused, at: `b"x"`, message: "this is not supported in expressions"},
		{source: `{a: 1, a: 2} == nil`, code: CodeSyntax, at: "a", message: "the key a is written twice"},

		{source: `env.GONE == "x"`, code: CodeUnset, at: "env.GONE", message: "the environment variable GONE is not set", hint: `set it, or give a default: env.GONE ?? "…"`},
		{source: `env[payload.a] == "x"`, code: CodeNotConstant, at: "payload.a", message: "the name of an environment variable must be constant", hint: "write env.NAME"},
		{source: `file("gone") == "x"`, code: CodeFile, at: `file("gone")`, message: "open gone: no such file"},
		{source: `file(payload.a) == "x"`, code: CodeNotConstant, at: "payload.a", message: "the path of file(...) must be constant text"},
	})
}

func TestSizeIsBounded(t *testing.T) {
	shared := "payload.a"
	for range 100 {
		shared = "1 < (" + shared + " ? 1 : 2) < 3"
	}
	for name, source := range map[string]string{
		"bytes": `payload.a == "` + strings.Repeat("x", maxSource) + `"`,
		"nodes": strings.Repeat("payload.a+", 400) + "1",
		// The parser shares the middle of a < b < c between its halves.
		"shared nodes": shared,
	} {
		t.Run(name, func(t *testing.T) {
			_, found := NewScope(Options{}).Expression(source)
			if len(found) != 1 || found[0].Code != CodeTooLarge {
				t.Fatalf("%+v", found)
			}
		})
	}
	deep := strings.Repeat("(", 4000) + "1" + strings.Repeat(")", 4000)
	if _, found := NewScope(Options{}).Expression(deep); found != nil {
		t.Fatalf("%+v", found)
	}
}

func TestDeadBranchesMayFail(t *testing.T) {
	for _, source := range []string{
		`env.PORT == "" ? int("x") : 1`, `false && 1 / 0 > 1`, `true || int("x") > 1`, `"a" ?? int("x")`,
		`env.GONE ?? env.PORT`, `env.GONE ?? env.ALSO ?? "x"`, `env.PORT ?? env.GONE`,
	} {
		if _, found := NewScope(Options{Constants: testConstants()}).Expression(source); found != nil {
			t.Errorf("%s: %+v", source, found)
		}
	}
	if _, found := NewScope(Options{}).Expression(`true || unknown`); found == nil {
		t.Error("an unknown name was not found in a dead branch")
	}
}

func TestConstants(t *testing.T) {
	s := NewScope(Options{Constants: testConstants()})
	for source, want := range map[string]any{
		`env.PORT`: "8080", `env["PORT"]`: "8080", `env.EMPTY ?? "d"`: "", `env.GONE ?? "d"`: "d", `int(env.PORT) + 1`: int64(8081),
		`file("token")`: "s3cr3t(", `"abc" matches env.PATTERN`: true, `[1, {a: "b"}][1].a`: "b",
	} {
		e, found := s.Expression(source)
		if found != nil {
			t.Fatalf("%s: %+v", source, found)
		}
		if got, err := e.Value(s.NewInput()); got != want || err != nil || !e.Constant() || e.Secret() != strings.Contains(source, "file") {
			t.Errorf("%s: %v %v, constant %v, secret %v", source, got, err, e.Constant(), e.Secret())
		}
	}
}

func TestSkippedConstantsAreOfAnyType(t *testing.T) {
	c := testConstants()
	c.Skip = true
	for _, source := range []string{
		`env.GONE`, `int(env.GONE) > 5`, `env.GONE && payload.a`, `payload.a in env.GONE`, `payload.a matches env.GONE`,
		`file("gone").x[5]`, `env.GONE ?? 5`, `payload.a > env.GONE`, `env.GONE ? 1 : payload.b`, `[env.GONE]`, `upper(file(env.GONE))`,
	} {
		if _, found := NewScope(Options{Constants: c}).Condition(source); found != nil {
			t.Errorf("%s: %+v", source, found)
		}
	}
}

func TestErrorsShowNoSecrets(t *testing.T) {
	s := NewScope(Options{Constants: testConstants()})
	for _, source := range []string{
		`payload.a + file("token")`, `int(payload.a + 0) > 0 ? payload.a : file("token")`, `payload.a < file("token")`,
		`payload.b[file("token")]`, `date("x", file("token"), payload.a) == nil`, `timezone(file("token")) == nil`,
		`int(file("token"))`, `float(file("token"))`, `duration(file("token"))`, `{(file("token")): 1, (file("token")): 2}`,
	} {
		e, found := s.Expression(source)
		for _, f := range found {
			if strings.Contains(f.Message+f.Hint, "s3cr3t") {
				t.Errorf("%s: %+v", source, f)
			}
		}
		if e == nil {
			continue
		}
		in := s.NewInput()
		if err := in.Load(orderRecord(`{"a":5,"b":"x"}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Value(in); strings.Contains(text(err), "s3cr3t") {
			t.Errorf("%s: %v", source, err)
		}
	}
}
