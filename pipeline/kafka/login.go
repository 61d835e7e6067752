package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// login is one way to authenticate in the words of both libraries.
type login struct {
	kgo    sasl.Mechanism
	sarama func(*sarama.Config)
	// token tells that there is a token instead of a name and a password.
	token bool
}

func loginOf(s *SASL) (*login, error) {
	if s == nil {
		return nil, nil
	}
	user, password := s.Username, string(s.Password)
	mechanism := strings.ToLower(s.Mechanism)
	switch {
	case mechanism == "oauthbearer" && s.Token == "":
		return nil, errors.New("kafka.sasl.token is missing")
	case mechanism != "oauthbearer" && user == "":
		return nil, errors.New("kafka.sasl.username is missing")
	case mechanism != "oauthbearer" && password == "":
		return nil, errors.New("kafka.sasl.password is missing")
	}
	named := func(name sarama.SASLMechanism, more func(*sarama.Config)) func(*sarama.Config) {
		return func(conf *sarama.Config) {
			conf.Net.SASL.Enable, conf.Net.SASL.Mechanism, conf.Net.SASL.Version = true, name, sarama.SASLHandshakeV1
			conf.Net.SASL.User, conf.Net.SASL.Password = user, password
			if more != nil {
				more(conf)
			}
		}
	}
	salted := func(m sasl.Mechanism, name sarama.SASLMechanism) *login {
		return &login{kgo: m, sarama: named(name, func(conf *sarama.Config) {
			conf.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &exchange{mechanism: m} }
		})}
	}
	switch mechanism {
	case "plain":
		return &login{kgo: plain.Auth{User: user, Pass: password}.AsMechanism(), sarama: named(sarama.SASLTypePlaintext, nil)}, nil
	case "scram-sha-256":
		return salted(scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), sarama.SASLTypeSCRAMSHA256), nil
	case "scram-sha-512":
		return salted(scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), sarama.SASLTypeSCRAMSHA512), nil
	case "oauthbearer":
		return &login{token: true, kgo: oauth.Auth{Token: string(s.Token)}.AsMechanism(),
			sarama: named(sarama.SASLTypeOAuth, func(conf *sarama.Config) {
				conf.Net.SASL.User, conf.Net.SASL.Password = "", ""
				conf.Net.SASL.TokenProvider = bearer(s.Token)
			})}, nil
	}
	return nil, fmt.Errorf("unknown kafka.sasl.mechanism %q", s.Mechanism)
}

// bearer hands the token to the writing library.
type bearer string

// Token returns the token.
func (b bearer) Token() (*sarama.AccessToken, error) {
	return &sarama.AccessToken{Token: string(b)}, nil
}

// exchange lets the reading library's mechanism speak for the writing one,
// which leaves SCRAM to its user.
type exchange struct {
	mechanism sasl.Mechanism
	session   sasl.Session
	first     []byte
	done      bool
}

// Begin makes the first message. The mechanism knows the credentials already.
func (e *exchange) Begin(_, _, _ string) (err error) {
	// Salted mechanisms ask neither for a context nor for a host.
	var none context.Context
	e.session, e.first, err = e.mechanism.Authenticate(none, "")
	return err
}

// Step answers a challenge; the first one is empty and asks for the first
// message.
func (e *exchange) Step(challenge string) (string, error) {
	if e.first != nil {
		first := string(e.first)
		e.first = nil
		return first, nil
	}
	done, answer, err := e.session.Challenge([]byte(challenge))
	e.done = done
	return string(answer), err
}

// Done tells that the broker has proved itself too.
func (e *exchange) Done() bool { return e.done }
