package expression_test

import (
	"errors"
	"testing"

	"github.com/millrace/millrace/pipeline/expression"
)

func TestWhatIsWrittenOutOfASecret(t *testing.T) {
	for source, want := range map[string]string{
		`"s3cret"`:                                    `"*"`,
		`'s3cret'`:                                    `'*'`,
		"`s3cret`":                                    "`*`",
		`"Bearer s3cret"`:                             `"Bearer *"`,
		`"Bearer " + env.TOKEN`:                       `"Bearer " + env.TOKEN`,
		`"Basic " + toBase64("u:s3\"cret")`:           `"Basic " + toBase64("*")`,
		`"token"`:                                     `"token"`,
		`env.TOKEN ?? "s3cret"`:                       `env.TOKEN ?? "*"`,
		`file("run/token") + "s3cret"`:                `file("run/token") + "*"`,
		`env["TOKEN"] + headers["x-key"][0:8]`:        `env["TOKEN"] + headers["x-key"][0:8]`,
		`["s3cret"][0]`:                               `["*"][0]`,
		`int("s3cret" + key)`:                         `int("*" + key)`,
		`payload.kind == 1 ? payload.token : null`:    `payload.kind == 1 ? payload.token : null`,
		`string(12345678)`:                            `string(*)`,
		`"s3cret`:                                     `"*`,
		`Bearer s3cret`:                               `Bearer *`,
		`eyJhbGci.eyJzdWIi.s3cret`:                    `*.*.*`,
		`zz-s3cret/abc+8==`:                           `*-*/*+8==`,
		`"ends in a backslash\`:                       `"*`,
		`headers.authorization ?? "Bearer s3cret" + `: `headers.authorization ?? "Bearer *" + `,
		``: ``,
	} {
		if got := expression.WithoutWritten(source, "*"); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}

func TestErrorsOfSecretsQuoteNothing(t *testing.T) {
	for said, want := range map[string]string{
		`"s3cret" + key is text that is no whole number of 64 bits`: `"[redacted]" + key is text that is no whole number of 64 bits`,
		`'s3cret' + key can't be read`:                              `"[redacted]" + key can't be read`,
		`payload.a + "s3cre…`:                                       `payload.a + "[redacted]"`,
		`string(12345678) is long`:                                  `string("[redacted]") is long`,
		`payload.a is null`:                                         `payload.a is null`,
	} {
		err := errors.New(said)
		if got := expression.Withheld(err); got.Error() != want || !errors.Is(got, err) {
			t.Errorf("%s: %s, want %s", said, got, want)
		}
	}
	if expression.Withheld(nil) != nil {
		t.Error("nothing is an error")
	}
}
