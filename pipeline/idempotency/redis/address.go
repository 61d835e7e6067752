package redis

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/rueidis"
)

// settings are what an address may hold in its query.
func settings() []string {
	return []string{"prefix", "db", "addr", "master_set", "dial_timeout", "write_timeout", "skip_verify", "protocol",
		"client_cache", "max_retries", "client_name"}
}

// parse reads the URL. Its errors leave out what may be secret: none shows any
// part of the address.
func parse(address string) (rueidis.ClientOption, string, error) {
	u, err := split(address)
	if err != nil {
		return rueidis.ClientOption{}, "", err
	}
	if !database.MatchString(u.Path) {
		return rueidis.ClientOption{}, "", errors.New("its address must end with the database's number, such as /0")
	}
	prefix := DefaultPrefix
	query := u.Query()
	for name := range query {
		if !slices.Contains(settings(), name) {
			return rueidis.ClientOption{}, "", errors.New("its address has a setting behind the ? that is none of " +
				strings.Join(settings(), ", "))
		}
	}
	if query.Has("prefix") {
		prefix = query.Get("prefix")
		query.Del("prefix")
		u.RawQuery = query.Encode()
	}
	option, err := rueidis.ParseURL(u.String())
	if err != nil {
		return option, "", errors.New("its address has a setting behind the ? that can't be read")
	}
	option.ClientName = "millrace"
	option.DisableCache = true
	option.ReadBufferEachConn = 64 << 10
	option.WriteBufferEachConn = 64 << 10
	return option, prefix, nil
}

var database = regexp.MustCompile(`^(/[0-9]{0,9})?$`)

// split takes an address apart. A password may hold what has a meaning in a URL,
// such as / # ? and @: what is no address otherwise is read with all before the
// last @ as user and password, as they stand where they are not %-encoded.
func split(address string) (*url.URL, error) {
	wrong := errors.New("its address is not a redis:// or rediss:// URL")
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || scheme != "redis" && scheme != "rediss" {
		return nil, wrong
	}
	at := strings.LastIndex(rest, "@")
	u, err := url.Parse(address)
	switch {
	case err == nil && (at < 0 || plain(u)):
		return u, nil
	case at < 0:
		return nil, wrong
	}
	if u, err = url.Parse(scheme + "://" + rest[at+1:]); err != nil || u.Host == "" {
		return nil, wrong
	}
	user, password, ok := strings.Cut(rest[:at], ":")
	if u.User = url.User(decoded(user)); ok {
		u.User = url.UserPassword(decoded(user), decoded(password))
	}
	return u, nil
}

// plain tells whether a URL is one that nothing of a password can have got into:
// a number as its path, and no settings but those that there are.
func plain(u *url.URL) bool {
	for name := range u.Query() {
		if !slices.Contains(settings(), name) {
			return false
		}
	}
	return database.MatchString(u.Path) && u.Fragment == ""
}

func decoded(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
