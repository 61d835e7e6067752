package redis

import (
	"strings"
	"testing"
)

// A password may hold whatever it holds, encoded or not, and an address that is
// wrong shows no part of it.
func TestAddressesWithOddPasswords(t *testing.T) {
	for address, want := range map[string]string{
		"redis://:p@h/secretpart#x@127.0.0.1:6390/2":      "|p@h/secretpart#x|127.0.0.1:6390|2",
		"redis://:p@h/a/secretpart@db/0":                  "|p@h/a/secretpart|db:6379|0",
		"redis://app:p%2Fq@db:7000/3":                     "app|p/q|db:7000|3",
		"redis://app:100%@db:7000":                        "app|100%|db:7000|0",
		"redis://:1?x@db/1":                               "|1?x|db:6379|1",
		"redis://:p:q:r@db/1":                             "|p:q:r|db:6379|1",
		"redis://:p#q@db:7/1?addr=other:8&master_set=set": "|p#q|db:7|1",
		"rediss://app:@@@[::1]:7/1":                       "app|@@|[::1]:7|1",
		"redis://db:7/1?prefix=a@b:":                      "||db:7|1",
		"redis://u:p@db:7/1?prefix=a@b:":                  "u|p|db:7|1",
		"redis://db":                                      "||db:6379|0",
	} {
		option, _, err := parse(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		got := strings.Join([]string{option.Username, option.Password, option.InitAddress[0], string(rune('0' + option.SelectDB))}, "|")
		if got != want {
			t.Errorf("%s is read as %s, want %s", address, got, want)
		}
	}
	for _, address := range []string{
		"redis://:hush@db/hush", "redis://:hush@db:hush/0", "redis://:hush/0", "redis://:x@db/0?dial_timeout=hush",
		"redis://db/0?hush=1", "redis://:x@db/0?pasword=hush", "redis://:x@db/0/hush", "redis://:x#hush@/0", "valkey://:hush@db", "hush",
	} {
		if _, _, err := parse(address); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestUnsafe(t *testing.T) {
	for address, want := range map[string][2]bool{
		"redis://:pw@cache.test:6379/0":                         {true, false},
		"redis://app:pw@10.0.0.1/0":                             {true, false},
		"redis://:pw@localhost:6379?addr=far.test:6379":         {true, false},
		"redis://:pw@localhost:6379/0":                          {false, false},
		"redis://:pw@[::1]:6379/0":                              {false, false},
		"redis://cache.test:6379/0":                             {false, false},
		"rediss://:pw@cache.test:6379/0":                        {false, false},
		"rediss://:pw@cache.test:6379/0?skip_verify=true":       {false, true},
		"rediss://:pw@cache.test:6379/0?skip_verify=":           {false, true},
		"rediss://:pw@cache.test:6379/0?skip_verify=false":      {false, false},
		"no address at all, which is somebody else's to report": {false, false},
	} {
		cleartext, unverified := Unsafe(address)
		if got := [2]bool{cleartext, unverified}; got != want {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}
