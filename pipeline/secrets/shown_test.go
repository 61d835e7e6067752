package secrets

import "testing"

// JSON stays JSON, wherever in it a secret stands.
func TestJSONIsRedacted(t *testing.T) {
	r := New([]string{"hunter22", "123456"}, false)
	for line, want := range map[string]string{
		`{"a":"x hunter22 y","n":1.50}`:                 `{"a":"x [redacted] y","n":1.50}`,
		`{"pin":123456,"hunter22":[1.50,"<hunter22>"]}`: `{"[redacted]":[1.50,"<[redacted]>"],"pin":"[redacted]"}`,
		`{"url":"redis://u:pw@h/"}`:                     `{"url":"redis://u:xxxxx@h/"}`,
		`123456 is no JSON`:                             `"[redacted]"`,
	} {
		if got := string(r.JSON([]byte(line))); got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
	if got := (*Redactor)(nil).Shown("http://u:pw@h/"); got != "http://u:xxxxx@h/" {
		t.Error(got)
	}
}
