package expression

import (
	"strings"
	"testing"
)

func TestTemplates(t *testing.T) {
	const value = `{"s":"x/ y?ü","n":1.50,"big":18446744073709551616,"o":{"b": 1,"a":2.0},"l":[1, 2],"t":true,"e":"","id":"o-1","dots":"..","esc":"a\"b\u00e9","nl":"a\r\nb"}`
	for _, row := range []struct {
		source string
		place  Place
		want   string
		err    string
	}{
		{source: "plain", want: "plain"},
		{source: "", want: ""},
		{source: "a$b $$ {x} $", want: "a$b $$ {x} $"},
		{source: "$${payload.s} costs $$${payload.n}", want: "${payload.s} costs $${payload.n}"},
		{source: "$${x} ${payload.n}", want: "${x} 1.50"},
		{source: "${payload.s}!", want: "x/ y?ü!"},
		{source: "${payload.n} ${payload.n + 1} ${payload.big}", want: "1.50 2.5 18446744073709551616"},
		{source: "${payload.gone ?? payload.n} ${payload.gone ?? 5}", want: "1.50 5"},
		{source: "${payload.t} ${payload.esc}", want: `true a"bé`},
		{source: "${payload.o} ${payload.l} ${[payload.n]}", want: `{"b": 1,"a":2.0} [1, 2] [1.5]`},
		{source: `${payload.gone ?? "}"}${{a: 1}.a}`, want: "}1"},
		{source: "${ `a}b` }${/* } */ 1}", want: "a}b1"},
		{source: "${timestamp}", want: "2026-02-03T03:05:06.007Z"},
		{source: "${headers[\"x-id\"]}", place: PlaceHeader, want: "\xff"},
		{source: "${payload.o}", place: PlaceHeader, want: `{"b": 1,"a":2.0}`},
		{source: "${env.PORT}-${file('token')}", want: "8080-s3cr3t("},
		{source: "1e21 is ${1e21} and 1e-7 is ${payload.n * 1e-7}", want: "1e21 is 1e+21 and 1e-7 is 1.5e-7"},

		{source: "${payload.gone}", err: "${payload.gone}: it is null"},
		{source: "${payload.id.x}", err: "${payload.id.x}: payload.id is text: it has no field x"},
		{source: "${payload.gone + 1}", err: "${payload.gone + 1}: payload.gone is null: cannot calculate with +"},

		{source: "a:${payload.id}:${payload.n}", place: PlaceKey, want: "a:o-1:1.50"},
		{source: "a:${payload.e}", place: PlaceKey, err: "${payload.e}: it is empty: a part of a key must not be"},
		{source: "a:${payload.gone}", place: PlaceKey, err: "${payload.gone}: it is null"},
		{source: "a:${payload.o}", place: PlaceKey, err: "${payload.o}: it is an object: a key takes none"},
		{source: "a:${payload.gone ?? [payload.n]}", place: PlaceKey, err: "${payload.gone ?? [payload.n]}: it is a list: a key takes none"},

		{source: "http://h/a/${payload.s}?q=${payload.s}&r=${payload.n}", place: PlaceURL, want: "http://h/a/x%2F%20y%3F%C3%BC?q=x%2F+y%3F%C3%BC&r=1.50"},
		{source: "http://h:${env.PORT}/${payload.id}", place: PlaceURL, want: "http://h:8080/o-1"},
		{source: "http://h/${payload.dots}", place: PlaceURL, err: "${payload.dots}: it is empty, . or .., which no segment of a URL's path can be"},
		{source: "http://h/${payload.e}", place: PlaceURL, err: "${payload.e}: it is empty, . or .., which no segment of a URL's path can be"},
		{source: "http://h/a/${payload.e}/x", place: PlaceURL, err: "${payload.e}: it is empty, . or .., which no segment of a URL's path can be"},
		{source: "http://h/a/${payload.e}?x=${payload.e}", place: PlaceURL, err: "${payload.e}: it is empty, . or .., which no segment of a URL's path can be"},
		{source: "http://h/${payload.e}${payload.dots}/x", place: PlaceURL, err: "a segment of the path is empty, . or .., which no segment of a URL's path can be"},
		{source: "http://h/a/${payload.e}${payload.e}", place: PlaceURL, err: "a segment of the path is empty, . or .., which no segment of a URL's path can be"},
		{source: "http://h/a/.${payload.e}#x", place: PlaceURL, err: "a segment of the path is empty, . or .., which no segment of a URL's path can be"},
		{source: "http://h/a/x${payload.e}/${payload.e}${payload.id}?x=${payload.e}", place: PlaceURL, want: "http://h/a/x/o-1?x="},
		{source: "http://h/${payload.o}", place: PlaceURL, err: "${payload.o}: it is an object: a URL takes none"},

		{source: "http://h/${env.ODD}/x?k=${env.ODD}&m=full", place: PlaceURL, want: "http://h/ab%23cd%2F%25zz/x?k=ab%23cd%2F%25zz&m=full"},
		{source: "${env.BASE}/t/${env.ODD}/${payload.id}", place: PlaceURL, want: "http://h/b%20c?x=%C3%BC/t/ab%23cd%2F%25zz/o-1"},
		{source: "http://${env.PORT}:${env.ODD}@h:${env.PORT}/${payload.id}", place: PlaceURL, want: "http://8080:ab%23cd%2F%25zz@h:8080/o-1"},
		{source: "http://h/ü b?q=a b|c&id=${payload.id}#<", place: PlaceURL, want: "http://h/%C3%BC%20b?q=a%20b%7Cc&id=o-1#%3C"},
		{source: "http://h/%41%2f${payload.id}", place: PlaceURL, want: "http://h/%41%2fo-1"},
		{source: "${payload.nl}", place: PlaceHeader, err: "${payload.nl}: it holds a line break or another control character: a header's value has none"},
		{source: "${payload.nl}", place: PlaceBytes, want: "a\r\nb"},

		{source: "a=${payload.s}&b=${payload.n}&c=${env.ODD}", place: PlaceForm, want: "a=x%2F+y%3F%C3%BC&b=1.50&c=ab%23cd%2F%25zz"},
		{source: "a=${urlEncode(payload.s)}&b=${'' + urlEncode(payload.s)}", place: PlaceForm, want: "a=x%2F%20y%3F%C3%BC&b=x%252F%2520y%253F%25C3%25BC"},
		{source: "http://h/${urlEncode(payload.s)}?u=${urlEncode(payload.s)}&v=${'' + urlEncode(payload.s)}", place: PlaceURL,
			want: "http://h/x%2F%20y%3F%C3%BC?u=x%2F%20y%3F%C3%BC&v=x%252F%2520y%253F%25C3%25BC"},
		{source: "http://h/${urlEncode(payload.dots)}", place: PlaceURL, err: "${urlEncode(payload.dots)}: it is empty, . or .., which no segment of a URL's path can be"},
		{source: "${payload.o}", place: PlaceForm, err: "${payload.o}: it is an object: a form takes none"},

		{source: "logs_${payload.id}", place: PlaceTopic, want: "logs_o-1"},
		{source: "logs_${payload.s}", place: PlaceTopic, err: "it renders to no legal topic name, which has 1 to 249 letters, digits, '.', '_' and '-'"},
		{source: "${payload.dots}", place: PlaceTopic, err: "it renders to no legal topic name, which has 1 to 249 letters, digits, '.', '_' and '-'"},
		{source: "${payload.l}", place: PlaceTopic, err: "${payload.l}: it is a list: a topic name takes none"},

		{source: "${payload.s}${payload.e}", place: PlaceQuery, want: "x/ y?ü"},
		{source: "${payload.l}", place: PlaceQuery, err: "${payload.l}: it is a list: a query parameter takes none"},
		{source: "out/${payload.id}.jsonl", place: PlaceName, want: "out/o-1.jsonl"},
		{source: "out/${payload.s}", place: PlaceName, err: `${payload.s}: a part of a name must not hold / or \, nor be . or ..`},
		{source: "${payload.e}", place: PlaceName, err: "it renders to an empty name"},
	} {
		t.Run(row.source+" as "+string(row.place), func(t *testing.T) {
			s := NewScope(Options{Constants: testConstants()})
			if row.place == "" {
				row.place = PlaceText
			}
			tmpl, found := s.Template(row.source, row.place)
			if found != nil {
				t.Fatalf("%+v", found)
			}
			in := one{value: value}.input(t, s)
			got, err := tmpl.Text(in)
			if text(err) != row.err || got != row.want {
				t.Fatalf("%q and error %q, want %q and %q", got, text(err), row.want, row.err)
			}
			if dst, _ := tmpl.AppendText([]byte("before "), in); string(dst) != "before "+row.want {
				t.Fatalf("appended %q", dst)
			}
			if constant, ok := tmpl.Constant(); ok && constant != row.want || ok && strings.Contains(row.source, "${payload.s}!") {
				t.Fatalf("constant %q %v", constant, ok)
			}
		})
	}
}

func TestTemplateFindings(t *testing.T) {
	compile := func(place Place) func(string) []Finding {
		return func(source string) []Finding {
			_, found := NewScope(Options{Constants: testConstants()}).Template(source, place)
			return found
		}
	}
	checkFindings(t, compile(PlaceText), []finding{
		{source: "é ${paylod.a}", code: CodeUnknownName, at: "paylod", message: `unknown name "paylod"`, hint: `did you mean "payload"?`, fix: "é ${payload.a}"},
		{source: "a ${payload.a", code: CodeTemplate, at: "${payload.a", message: "this ${ is never closed by }", hint: "add the }: ${payload.a}", fix: "a ${payload.a}"},
		{source: "a ${} b", code: CodeEmpty, message: "the expression is empty"},
		{source: "${HOME}/x", code: CodeShellVariable, at: "HOME", message: "${HOME} is how a shell reads a variable", hint: "write ${env.HOME}", fix: "${env.HOME}/x"},
		{source: "${PORT:-8080}", code: CodeShellVariable, at: "PORT:-8080", message: "${PORT:-8080} is how a shell reads a variable", hint: `write ${env.PORT ?? "8080"}`, fix: `${env.PORT ?? "8080"}`},
		{source: "${env.GONE}", code: CodeUnset, at: "env.GONE", message: "the environment variable GONE is not set", hint: `set it, or give a default: env.GONE ?? "…"`},
		{source: "${nil}", code: CodeNullPart, at: "nil", message: "this is always null", hint: "*"},
		{source: `${payload.a ?? "x}`, code: CodeTemplate, at: `${payload.a ?? "x}`, message: "this ${ is never closed by }", hint: "*"},
	})
	checkFindings(t, compile(PlaceKey), []finding{
		{source: "orders", code: CodeConstantKey, at: "orders", message: "the key is the same for every record", hint: "*"},
		{source: "$${payload.id}", code: CodeConstantKey, at: "$${", message: "the key is the same for every record: $${ stands for the text ${, and nothing is put into it", hint: "*", fix: "${payload.id}"},
		{source: "${env.PORT}", code: CodeConstantKey, at: "${env.PORT}", message: "the key is the same for every record", hint: "*"},
		{source: "a${env.EMPTY}", code: CodeNullPart, at: "env.EMPTY", message: "a part of a key must not be empty"},
		{source: "a${[1]}", code: CodePlace, at: "[1]", message: "it is a list: a key takes none"},
	})
	checkFindings(t, compile(PlaceURL), []finding{
		{source: "${payload.url}", code: CodeURLHost, at: "${payload.url}", message: "the scheme and the host of a URL must not depend on the record", hint: "*"},
		{source: "http://${payload.h}.example.com/x", code: CodeURLHost, at: "http://${payload.h}.example.com/x", message: "the scheme and the host of a URL must not depend on the record", hint: "*"},
	})
	checkFindings(t, compile(PlaceURL), []finding{
		{source: "http://h/a%zz/${payload.id}", code: CodeNeverTaken, at: "%", message: "a URL has no such %: it stands before two hexadecimal digits", hint: "the character itself is written %25"},
		{source: "http://h/?q=${payload.a}&b=5%", code: CodeNeverTaken, at: "%", message: "a URL has no such %: it stands before two hexadecimal digits", hint: "*"},
		{source: "http://h/a\nb", code: CodeNeverTaken, at: "\n", message: "a URL holds no control characters"},
		{source: "${env.PERCENT}/${payload.id}", code: CodeNeverTaken, at: "env.PERCENT", message: "a URL has no such %: it stands before two hexadecimal digits", hint: "*"},
		{source: "http://h/${env.DOTS}/${payload.id}", code: CodeNeverTaken, at: "env.DOTS", message: "it is empty, . or .., which no segment of a URL's path can be", hint: "*"},
		{source: "http://${env.ODD}/${payload.id}", code: CodeNeverTaken, at: "env.ODD", message: "it cannot be a part of a host", hint: "*"},
		{source: "http://${payload.user}@h/", code: CodeURLHost, at: "http://${payload.user}@h/", message: "the scheme and the host of a URL must not depend on the record", hint: "*"},
	})
	checkFindings(t, compile(PlaceHeader), []finding{
		{source: "Bearer ${env.LINES}", code: CodeNeverTaken, at: "env.LINES", message: "it holds a line break or another control character: a header's value has none", hint: "*"},
		{source: "a ${payload.a}\r\nb", code: CodeNeverTaken, at: "\r", message: "a header's value holds no line break or other control character"},
	})
	checkFindings(t, compile(PlaceTopic), []finding{
		{source: "out_${payload.a}/x", code: CodeTopicName, at: "out_${payload.a}/x", message: "this is no legal topic name", hint: "*"},
		{source: `out_${payload.a}${env.ODD}`, code: CodeTopicName, at: `out_${payload.a}${env.ODD}`, message: "this is no legal topic name", hint: "*"},
		{source: `${timestamp.Format("2006/01/02")}`, code: CodeNeverTaken, at: `timestamp.Format("2006/01/02")`, message: `timestamp.Format("2006/01/02") always holds a "/": a topic name takes none`, hint: "*"},
		{source: `out_${timestamp.Format("Jan _2 2006")}`, code: CodeNeverTaken, at: `timestamp.Format("Jan _2 2006")`, message: `timestamp.Format("Jan _2 2006") always holds a " ": a topic name takes none`, hint: "*"},
		{source: "${payload.a}" + strings.Repeat("x", 250), code: CodeTopicName, at: "${payload.a}" + strings.Repeat("x", 250), message: "this is no legal topic name", hint: "*"},
		{source: "a b", code: CodeTopicName, at: "a b", message: "this is no legal topic name", hint: "*"},
	})
	checkFindings(t, compile(PlaceName), []finding{
		{source: `${timestamp.Format("2006/01")}/x`, code: CodeNeverTaken, at: `timestamp.Format("2006/01")`, message: `timestamp.Format("2006/01") always holds a "/": a name takes none`, hint: "*"},
	})
	for source, place := range map[string]Place{
		`${timestamp.Format("2006-01")}/${timestamp.Format("Jan 2 15:04")}`: PlaceName, `out_${timestamp.Format("_2")}`: PlaceTopic, `http://h/${timestamp.Format("2006/01")}`: PlaceURL,
	} {
		if found := compile(place)(source); found != nil {
			t.Errorf("%s: %+v", source, found)
		}
	}
	scope := NewScope(Options{})
	open, found := scope.Template("${payload.base}/orders/${payload.id}?u=http://${payload.id}", PlaceURL)
	if len(found) != 1 || open == nil {
		t.Fatalf("a URL whose host the record names can be allowed: %+v", found)
	}
	in := one{value: `{"base":"http://h","id":"a/b c"}`}.input(t, scope)
	if got, err := open.Text(in); got != "http://h/orders/a%2Fb%20c?u=http://a%2Fb+c" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	_, found = NewScope(Options{}).Template("${a} ${payload.x} ${b}", PlaceText)
	if len(found) != 2 || found[0].Offset != 2 || found[1].Offset != 20 {
		t.Fatalf("one finding a part: %+v", found)
	}
	if prefix := open.Prefix(); prefix != "" {
		t.Fatalf("prefix %q", prefix)
	}
	if topic, _ := scope.Template("logs_${payload.a}", PlaceTopic); topic.Prefix() != "logs_" {
		t.Fatalf("prefix %q", topic.Prefix())
	}
	if f := compile(PlaceKey)("${env.PORT}"); !f[0].Warning {
		t.Fatalf("a constant key with a part is legal: %+v", f)
	}
}

func TestSkippedTemplatesAreNotLookedInto(t *testing.T) {
	c := testConstants()
	c.Skip = true
	s := NewScope(Options{Constants: c})
	for source, place := range map[string]Place{
		"${env.BASE}/orders/${payload.id}": PlaceURL, "http://${env.HOST}/${payload.id}": PlaceURL, "${env.TOPIC}": PlaceTopic, "${env.A}": PlaceText,
		`{"a": ${env.A}, "b": "${env.B}"}`: PlaceBody, `{"a": ${payload.a}, "b": ${env.B}}`: PlaceJSON, "a${env.A}": PlaceHeader,
		"http://${env.USER}:${env.PASSWORD}@h/": PlaceURL, "${env.A}/${payload.a}": PlaceName,
	} {
		if _, found := s.Template(source, place); found != nil {
			t.Errorf("%s: %+v", source, found)
		}
	}
}

func TestStatic(t *testing.T) {
	skipped := testConstants()
	skipped.Skip = true
	for _, row := range []struct {
		source string
		c      Constants
		want   string
		secret bool
		code   string
	}{
		{source: "localhost:${env.PORT}", c: testConstants(), want: "localhost:8080"},
		{source: `${env.GONE ?? "x"}`, c: testConstants(), want: "x"},
		{source: `${file("token")}`, c: testConstants(), want: "s3cr3t(", secret: true},
		{source: `$${env.PORT}`, c: testConstants(), want: "${env.PORT}"},
		{source: `a${env.GONE}`, c: skipped, want: "a" + Unknown},
		{source: `${file("gone")}`, c: skipped, want: Unknown, secret: true},
		{source: `${env.GONE}`, c: testConstants(), code: CodeUnset},
		{source: `${file("gone")}`, c: testConstants(), code: CodeFile},
		{source: `${payload.a}`, c: testConstants(), code: CodeStatic},
		{source: `${topic}`, c: testConstants(), code: CodeStatic},
		{source: `${source.key}`, c: testConstants(), code: CodeStatic},
		{source: `${headers.a}`, c: testConstants(), code: CodeStatic},
		{source: `${HOME}`, c: testConstants(), code: CodeShellVariable},
		{source: `${env.PORT}`, code: CodeUnset},
		{source: `${file("x")}`, code: CodeNotOffered},
	} {
		got, secret, found := Static(row.source, row.c)
		code := ""
		if found != nil {
			code = found[0].Code
		}
		if got != row.want || secret != row.secret || code != row.code {
			t.Errorf("%s: %q, secret %v, %+v", row.source, got, secret, found)
		}
	}
}
