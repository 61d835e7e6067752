package handlers_test

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
)

func TestRegistryCheck(t *testing.T) {
	type config struct{}
	spec := func(kind string) handlers.Spec {
		return handlers.Define(kind, "", "", func(config, handlers.Env) (handlers.Sink, error) { return nil, nil })
	}
	noStruct := spec("sms")
	noStruct.New = func() any { return config{} }
	for want, specs := range map[string][]handlers.Spec{
		"":                                       {spec("sms"), spec("x2_y"), spec("sms")},
		"it has no sinks":                        nil,
		`kind "name"`:                            {spec("name")},
		`kind ""`:                                {spec("")},
		`kind "SMS"`:                             {spec("SMS")},
		"sms has no New or no Open":              {{Kind: "sms"}},
		"New of the sink sms must return a poin": {noStruct},
	} {
		err := handlers.NewRegistry(specs...).Check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q, not %q", err, want)
		}
	}
}
