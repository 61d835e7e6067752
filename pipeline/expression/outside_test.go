package expression

import "testing"

// TestVariablesAreText: what is compared with one is held against its type, like
// a part of the record, though the comparison is the same for every record.
func TestVariablesAreText(t *testing.T) {
	for _, skip := range []bool{false, true} {
		constants := testConstants()
		constants.Skip = skip
		compile := func(source string) []Finding {
			_, found := NewScope(Options{Constants: constants, Topics: []string{"a"}}).Condition(source)
			return found
		}
		checkFindings(t, compile, []finding{
			{source: `env.ENABLED == true`, code: CodeNeverEqual, at: "true", message: "env.ENABLED is text and true is a boolean: they are never equal", hint: `text needs quotes: "true"`, fix: `env.ENABLED == "true"`},
			{source: `payload.a == 1 && env.LEVEL != 5`, code: CodeNeverEqual, at: "5", message: "env.LEVEL is text and 5 is a number: they are never equal", hint: `text needs quotes: "5"`, fix: `payload.a == 1 && env.LEVEL != "5"`},
			{source: `5 == env["LEVEL"]`, code: CodeNeverEqual, at: "5", message: `5 is a number and env["LEVEL"] is text: they are never equal`, hint: "*", fix: `"5" == env["LEVEL"]`},
			{source: `env.LEVEL in [5]`, code: CodeNeverEqual, at: "5", message: "env.LEVEL is text and 5 is a number: they are never equal", hint: `text needs quotes: "5"`, fix: `env.LEVEL in ["5"]`},
			{source: `env.LEVEL not in [5, 6]`, code: CodeNeverEqual, at: "5", message: "env.LEVEL is text and 5 is a number: they are never equal", hint: "*", fix: `env.LEVEL not in ["5", 6]`},
			{source: `(env.ENABLED ?? false) == true`, code: CodeNeverEqual, at: "true", message: "env.ENABLED ?? false is text and true is a boolean: they are never equal", hint: "*", fix: `(env.ENABLED ?? false) == "true"`},
			{source: `file("token") == 5 ? true : false`, code: CodeNeverEqual, at: "5", message: `file("token") is text and 5 is a number: they are never equal`, hint: "*", fix: `file("token") == "5" ? true : false`},
			{source: `int(env.LEVEL) == "5"`, code: CodeNeverEqual, at: `"5"`, message: `int(env.LEVEL) is a number and "5" is text: they are never equal`, hint: "*", fix: `int(env.LEVEL) == 5`},
		})
		for _, source := range []string{
			`env.ENABLED == "true"`, `env.LEVEL in ["5", "6"]`, `int(env.LEVEL) == 5`, `int(env.LEVEL) > 4`, `payload.level == env.LEVEL`, `topic == env.LEVEL`,
			`(env.GONE ?? false) == true`, `(env.GONE ?? 5) == 5`, `(env.GONE ?? "x") == "x"`, `env.ENABLED != nil`, `(env.GONE ?? nil) == nil`, `env.LEVEL == env.ENABLED`,
			`env.ENABLED == "true" ? payload.a == 1 : true`, `len(split(env.LEVEL, ",")) == 1`, `"5" in split(env.LEVEL, ",")`, `fromJSON(env.LEVEL) == 5`,
		} {
			for _, f := range compile(source) {
				if !f.Warning {
					t.Errorf("%s: %+v", source, f)
				}
			}
		}
	}
}
