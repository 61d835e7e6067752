//go:build unix

package kafkacluster

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/certificates"
)

// Listener is one way in to each node of a cluster.
type Listener string

// The listeners. Plaintext is always there, the others where Options has
// a Security, and those with TLS where that has Certificates.
const (
	// Plaintext asks for nothing.
	Plaintext Listener = "PLAINTEXT"
	// SASL asks for a user, without TLS.
	SASL Listener = "SASL"
	// SASLTLS asks for a user, over TLS.
	SASLTLS Listener = "SASLTLS"
	// TLS shows the server's certificate and asks for none.
	TLS Listener = "TLS"
	// MutualTLS asks for a client's certificate of the same authority.
	MutualTLS Listener = "MUTUALTLS"
	// ExpiredTLS is TLS with a server's certificate that has expired.
	ExpiredTLS Listener = "EXPIREDTLS"

	controllerListener Listener = "CONTROLLER"
)

// protocol is the listener's, as Kafka names it.
func (l Listener) protocol() string {
	switch l {
	case SASL:
		return "SASL_PLAINTEXT"
	case SASLTLS:
		return "SASL_SSL"
	case TLS, MutualTLS, ExpiredTLS:
		return "SSL"
	default:
		return "PLAINTEXT"
	}
}

// Security says who may use the listeners beside Plaintext.
type Security struct {
	// Users are the passwords by name, for PLAIN, SCRAM-SHA-256 and
	// SCRAM-SHA-512 alike. OAUTHBEARER takes any [BearerToken] that has not
	// expired. Neither a name nor a password may hold one of " , ] = \ or be
	// empty.
	Users map[string]string
	// Certificates are those of the listeners with TLS; nil opens none of them.
	Certificates *certificates.Set
}

// listeners are those that clients may use; a nil Security has Plaintext only.
func (s *Security) listeners() []Listener {
	switch {
	case s == nil:
		return []Listener{Plaintext}
	case s.Certificates == nil:
		return []Listener{Plaintext, SASL}
	default:
		return []Listener{Plaintext, SASL, SASLTLS, TLS, MutualTLS, ExpiredTLS}
	}
}

func (s *Security) properties() map[string]string {
	if s == nil {
		return nil
	}
	p := map[string]string{"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"}
	s.sasl(p, SASL)
	if c := s.Certificates; c != nil {
		s.sasl(p, SASLTLS)
		for _, l := range []Listener{SASLTLS, TLS, MutualTLS} {
			keystore(p, l, c.Server.Keystore, c.CA)
		}
		keystore(p, ExpiredTLS, c.ExpiredServer.Keystore, c.CA)
		p[MutualTLS.prefix()+"ssl.client.auth"] = "required"
	}
	return p
}

func (l Listener) prefix() string { return "listener.name." + strings.ToLower(string(l)) + "." }

func keystore(p map[string]string, l Listener, keys, trusted string) {
	p[l.prefix()+"ssl.keystore.type"] = "PEM"
	p[l.prefix()+"ssl.keystore.location"] = keys
	p[l.prefix()+"ssl.truststore.type"] = "PEM"
	p[l.prefix()+"ssl.truststore.location"] = trusted
}

// sasl names the modules that check users. OAUTHBEARER's takes unsigned
// tokens: it is Kafka's own for development.
func (s *Security) sasl(p map[string]string, l Listener) {
	const security = "org.apache.kafka.common.security."
	plain := security + "plain.PlainLoginModule required"
	for _, name := range s.names() {
		plain += fmt.Sprintf(" user_%s=%q", name, s.Users[name])
	}
	p[l.prefix()+"plain.sasl.jaas.config"] = plain + ";"
	for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
		p[l.prefix()+mechanism+".sasl.jaas.config"] = security + "scram.ScramLoginModule required;"
	}
	p[l.prefix()+"oauthbearer.sasl.jaas.config"] = security +
		`oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="testbed";`
}

// scramUsers are the arguments with which the storage tool makes the users.
func (s *Security) scramUsers() []string {
	var args []string
	for _, name := range s.names() {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, name, s.Users[name]))
		}
	}
	return args
}

func (s *Security) names() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.Users))
}

// BearerToken makes a token for OAUTHBEARER: unsigned, for a subject, valid
// from a minute before now until expires.
func BearerToken(subject string, now, expires time.Time) string {
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, subject, now.Add(-time.Minute).Unix(), expires.Unix())
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + "."
}
