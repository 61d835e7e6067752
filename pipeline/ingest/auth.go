package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strings"

	"github.com/millrace/millrace/handlers"
)

// Auth is how a client shows that it may write: by a token, or by a signature of
// the body. One of the two is set.
type Auth struct {
	Bearer handlers.Secret
	HMAC   *HMAC
}

// HMAC is a signature as webhooks send it: the HMAC-SHA256 of the body as it was
// sent, with a secret that both sides know.
type HMAC struct {
	// Header is where the signature stands, with or without `sha256=` before it.
	Header string
	Secret handlers.Secret
	// Base64 tells that it is written in base64, and not in hex.
	Base64 bool
}

// checkHead refuses who shows nothing, or a wrong token. It takes as long for any
// token of the same length.
func (a *Auth) checkHead(req *http.Request) *answer {
	if a == nil {
		return nil
	}
	if a.HMAC != nil {
		if values := req.Header.Values(a.HMAC.Header); len(values) != 1 {
			return wrongSignature()
		}
		return nil
	}
	values := req.Header.Values("Authorization")
	if len(values) == 1 {
		scheme, token, _ := strings.Cut(values[0], " ")
		shown, wanted := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(a.Bearer))
		if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(shown[:], wanted[:]) == 1 {
			return nil
		}
	}
	refused := refuse(http.StatusUnauthorized, "send the token of this route, with the header Authorization: Bearer")
	refused.authenticate, refused.close = "Bearer", true
	return refused
}

// hash is what the body is to be written into as it comes, nil for none.
func (a *Auth) hash() hash.Hash {
	if a == nil || a.HMAC == nil {
		return nil
	}
	return hmac.New(sha256.New, []byte(a.HMAC.Secret))
}

// checkBody refuses a body whose signature is not the one that was sent.
func (a *Auth) checkBody(req *http.Request, sum hash.Hash) *answer {
	if sum == nil {
		return nil
	}
	text := strings.TrimPrefix(strings.TrimSpace(req.Header.Get(a.HMAC.Header)), "sha256=")
	decode := hex.DecodeString
	if a.HMAC.Base64 {
		decode = base64.StdEncoding.DecodeString
	}
	if shown, err := decode(text); err != nil || !hmac.Equal(shown, sum.Sum(nil)) {
		return wrongSignature()
	}
	return nil
}

func wrongSignature() *answer {
	a := refuse(http.StatusForbidden, "the signature of the body is missing or wrong")
	a.close = true
	return a
}
