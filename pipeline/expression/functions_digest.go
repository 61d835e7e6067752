package expression

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// digestFunctions make names and numbers of text that stand for it, and carry text
// through URLs. They take its exact bytes, UTF-8 or not.
var digestFunctions = map[string]builtin{
	"sha256": {1, 1, kindText, digest(func(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] })},
	"sha1":   {1, 1, kindText, digest(func(b []byte) []byte { sum := sha1.Sum(b); return sum[:] })},
	"md5":    {1, 1, kindText, digest(func(b []byte) []byte { sum := md5.Sum(b); return sum[:] })},
	"hmac":   {2, 2, kindText, signature256},
	"crc32": {1, 1, kindNumber, func(in *input, op *operation, a []any) any {
		return int64(crc32.ChecksumIEEE(op.hashed(in, 0, a)))
	}},
	"uuid5": {2, 2, kindText, func(in *input, op *operation, a []any) any {
		return uuid.NewSHA1(namespace(op, a[0]), op.hashed(in, 1, a)).String()
	}},
	"bucket":    {2, 2, kindNumber, bucket},
	"urlEncode": {1, 1, kindText, urlEncode},
	"urlDecode": {1, 1, kindText, urlDecode},
}

// hashed is argument i, which must be text, as what a hash is made of.
func (o *operation) hashed(in *input, i int, args []any) []byte {
	s := o.text(i, args)
	in.step(stepsOfHash + stepsOfHashed*len(s))
	in.made(len(s))
	return []byte(s)
}

func digest(of func([]byte) []byte) func(*input, *operation, []any) any {
	return func(in *input, op *operation, args []any) any {
		return fmt.Sprintf("%x", of(op.hashed(in, 0, args)))
	}
}

func signature256(in *input, op *operation, args []any) any {
	mac := hmac.New(sha256.New, op.hashed(in, 0, args))
	mac.Write(op.hashed(in, 1, args))
	return fmt.Sprintf("%x", mac.Sum(nil))
}

// namespaces are those that RFC 9562 names.
var namespaces = map[string]uuid.UUID{"dns": uuid.NameSpaceDNS, "url": uuid.NameSpaceURL, "oid": uuid.NameSpaceOID,
	"x500": uuid.NameSpaceX500}

func namespace(op *operation, v any) uuid.UUID {
	text := op.textOf(0, v)
	if known, ok := namespaces[text]; ok {
		return known
	}
	// Parse also takes a UUID in brackets of any kind.
	id, err := uuid.Parse(text)
	if err != nil || len(text) != len(id.String()) {
		failf("%s is text that is no UUID, nor dns, url, oid or x500: uuid5 needs one as the namespace", op.operand(0))
	}
	return id
}

// bucket is a stable share: a text is always in the same of n buckets.
func bucket(in *input, op *operation, args []any) any {
	n := buckets(op, args[1])
	sum := sha256.Sum256(op.hashed(in, 0, args))
	return int64(binary.BigEndian.Uint64(sum[:8]) % uint64(n))
}

func buckets(op *operation, v any) int64 {
	n := op.whole(1, scalarOf(v))
	if n < 1 {
		failf("%s is less than 1: there is no bucket then", op.operand(1))
	}
	return n
}

// urlEncode leaves what RFC 3986 calls unreserved: the result may stand in a path,
// a query and a form alike.
func urlEncode(in *input, op *operation, args []any) any {
	s := op.text(0, args)
	in.room(3 * len(s))
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

func urlDecode(in *input, op *operation, args []any) any {
	s := op.text(0, args)
	in.step(2 * len(s))
	s, err := url.PathUnescape(s)
	if err != nil {
		failf("%s is text in which a %% begins no %%41 or the like: urlDecode cannot read it", op.operand(0))
	}
	return s
}
