//go:build real

package testbed_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

func TestRealRedisSpeaksTLSToItsUsers(t *testing.T) {
	certs := newCertificates(t)
	r := redisserver.Need(t, redisserver.Options{
		Certificates: certs, Password: "admin", Users: []string{"app on >s3cret ~app:* &* +@all"},
	})
	redis(t, r, "OK", "SET", "other", "value")

	tests := map[string]struct{ ca, password, key, want string }{
		"its own keys":      {certs.CA, "s3cret", "app:1", ""},
		"another's keys":    {certs.CA, "s3cret", "other", "NOPERM"},
		"wrong password":    {certs.CA, "wrong", "app:1", "WRONGPASS"},
		"another authority": {certs.OtherCA, "s3cret", "app:1", "unknown authority"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := setAs(t, r, tt.ca, tt.password, tt.key); err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// setAs sets a key as the user app.
func setAs(t *testing.T, r *redisserver.Server, ca, password, key string) error {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{r.Addr()}, Username: "app", Password: password, DisableCache: true,
		TLSConfig: &tls.Config{RootCAs: pool(t, ca)},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Do(t.Context(), client.B().Set().Key(key).Value("1").Build()).Error()
}
