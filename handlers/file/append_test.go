package file

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
)

func TestTornLine(t *testing.T) {
	long := `{"x":"` + strings.Repeat("x", 20_000)
	for name, c := range map[string]struct{ before, after string }{
		"empty":                    {"", ""},
		"whole":                    {"{\"n\":0}\n", "{\"n\":0}\n"},
		"torn":                     {"{\"n\":0}\n{\"n\":", "{\"n\":0}\n"},
		"torn first line":          {"{\"n\":", ""},
		"torn number":              {"1\n12", "1\n"},
		"longer than a first look": {"{\"n\":0}\n" + long, "{\"n\":0}\n"},
		"object without newline":   {"{\"n\":0}\n{\"n\":1}", "{\"n\":0}\n{\"n\":1}\n"},
		"long object":              {long + `"}`, long + "\"}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := openSink(t, config(t.TempDir(), handlertest.Constant("c.jsonl")), realDisk())
			f.put("c.jsonl", c.before)
			f.write("k", `{"n":9}`)
			if got := f.read("c.jsonl"); got != c.after+"{\"n\":9}\n" {
				t.Errorf("got %.200q", got)
			}
			// Nothing is lost, whoever wrote it.
			if tail := strings.TrimPrefix(c.before, c.after); tail != "" && !strings.HasPrefix(c.after, c.before) && f.read("c.jsonl.torn") != tail+"\n" {
				t.Errorf("%.200q was cut off and not kept", tail)
			}
			// Another process tears a line while this one has the file open.
			f.put("c.jsonl", f.read("c.jsonl")+`{"to`)
			f.write("k", `{"n":10}`)
			if got := f.read("c.jsonl"); got != c.after+"{\"n\":9}\n{\"n\":10}\n" {
				t.Errorf("later: got %.200q", got)
			}
			f.shut()
		})
	}
}

func TestRawIsLeftAlone(t *testing.T) {
	c := config(t.TempDir(), handlertest.Constant("c.bin"))
	c.Format = "raw"
	f := openSink(t, c, realDisk())
	f.put("c.bin", "\x00\x01")
	f.write("k", "\x02", "\x03")
	f.shut()
	if got := f.read("c.bin"); got != "\x00\x01\x02\x03" {
		t.Errorf("%q", got)
	}
}

func TestRotationBySize(t *testing.T) {
	c := config(t.TempDir(), handlertest.Constant("eu/c.jsonl"))
	c.Rotate.Size = 1000
	d := realDisk()
	now := time.Date(2026, 1, 31, 9, 30, 0, 5e6, time.UTC)
	d.now = func() time.Time { return now }
	f := openSink(t, c, d)
	for i := range 100 {
		f.write("k", fmt.Sprintf(`{"n":%d,"x":%q}`, i, strings.Repeat("x", 80)))
	}
	f.shut()
	names := f.names()
	if len(names) < 9 || !slices.Contains(names, "eu/c-20260131T093000.005Z.jsonl") || !slices.Contains(names, "eu/c-20260131T093000.005Z-2.jsonl") {
		t.Fatalf("files: %v", names)
	}
	lines := 0
	for _, name := range names {
		text := f.read(name)
		if len(text) > 1000 {
			t.Errorf("%s has %d bytes", name, len(text))
		}
		lines += strings.Count(text, "\n")
	}
	if lines != 100 {
		t.Errorf("%d lines in all", lines)
	}
}

func TestRotationByTime(t *testing.T) {
	c := config(t.TempDir(), handlertest.Constant("c.jsonl"))
	c.Rotate.Every = time.Hour
	d := realDisk()
	now := time.Now().UTC().Truncate(time.Hour).Add(30 * time.Minute)
	d.now = func() time.Time { return now }
	f := openSink(t, c, d)
	f.write("k", `{"n":0}`)
	if err := os.Chtimes(filepath.Join(f.dir, "c.jsonl"), now, now); err != nil {
		t.Fatal(err)
	}
	f.write("k", `{"n":1}`)
	first := now
	now = now.Add(31 * time.Minute)
	f.write("k", `{"n":2}`)
	f.shut()
	aside := "c" + first.Format(asideLayout) + ".jsonl"
	if diff := cmp.Diff([]string{aside, "c.jsonl"}, f.names()); diff != "" {
		t.Fatal(diff)
	}
	if got := f.read(aside); got != "{\"n\":0}\n{\"n\":1}\n" {
		t.Errorf("%q", got)
	}
	// After a restart the time of the last write counts.
	if err := os.Chtimes(filepath.Join(f.dir, "c.jsonl"), now, now); err != nil {
		t.Fatal(err)
	}
	now = now.Add(24 * time.Hour)
	f = openSink(t, c, d)
	f.write("k", `{"n":3}`)
	f.shut()
	if names := f.names(); len(names) != 3 || f.read("c.jsonl") != "{\"n\":3}\n" {
		t.Errorf("%v", names)
	}
}

// A name that is taken already is never overwritten.
func TestRotationOverwritesNothing(t *testing.T) {
	c := config(t.TempDir(), handlertest.Constant("c"))
	c.Rotate.Size = 10
	d := realDisk()
	now := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	d.now = func() time.Time { return now }
	f := openSink(t, c, d)
	f.put("c-20260131T093000.000Z", "mine")
	f.write("k", `{"n":"first"}`)
	f.write("k", `{"n":"second"}`)
	f.shut()
	if diff := cmp.Diff([]string{"c", "c-20260131T093000.000Z", "c-20260131T093000.000Z-2"}, f.names()); diff != "" {
		t.Fatal(diff)
	}
	if f.read("c-20260131T093000.000Z") != "mine" || f.read("c-20260131T093000.000Z-2") != "{\"n\":\"first\"}\n" {
		t.Error("a file was overwritten")
	}
}

// A folder that is removed under the sink is waited for and named; the one that
// then has its name is written to.
func TestFolderComesBack(t *testing.T) {
	f := openSink(t, config(filepath.Join(t.TempDir(), "out"), handlertest.Constant("eu/c.jsonl")), realDisk())
	f.write("k", `{"n":0}`)
	for round := range 3 {
		if err := os.RemoveAll(f.dir); err != nil {
			t.Fatal(err)
		}
		if round == 1 { // another takes its place before anybody looks
			if err := os.Mkdir(f.dir, 0o750); err != nil {
				t.Fatal(err)
			}
		} else {
			failed := handlers.FailureOf(f.Write(t.Context(), f.calls("k", `{"n":1}`)), 0)
			if failed == nil || failed.Class != handlers.Infrastructure || !strings.Contains(failed.Error(), f.dir+" was removed") {
				t.Fatalf("without its folder it says %v", failed)
			}
			if _, err := os.Stat(f.dir); err == nil {
				t.Fatal("the folder was made: what was mounted there could not come back")
			}
			if err := os.Mkdir(f.dir, 0o750); err != nil {
				t.Fatal(err)
			}
		}
		f.write("k", fmt.Sprintf(`{"n":%d}`, 10+round))
		if got := f.read("eu/c.jsonl"); got != fmt.Sprintf("{\"n\":%d}\n", 10+round) {
			t.Errorf("round %d: %q", round, got)
		}
	}
	f.shut()
	if !strings.Contains(f.log.String(), "opened anew") {
		t.Error("it does not say that the folder is another one")
	}
}

// logrotate and its like move the file away, or remove it.
func TestMovedAway(t *testing.T) {
	f := openSink(t, config(t.TempDir(), handlertest.Constant("c.jsonl")), realDisk())
	f.write("k", `{"n":0}`)
	path := filepath.Join(f.dir, "c.jsonl")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	f.write("k", `{"n":1}`)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.write("k", `{"n":2}`)
	f.shut()
	if f.read("c.jsonl.1") != "{\"n\":0}\n" || f.read("c.jsonl") != "{\"n\":2}\n" {
		t.Errorf("%q %q", f.read("c.jsonl.1"), f.read("c.jsonl"))
	}
}

// Several sinks, as of several processes, append to one file and set it aside
// under each other's hands: no line is lost, torn or doubled.
func TestSeveralSinksOneFile(t *testing.T) {
	dir := t.TempDir()
	var sinks sync.WaitGroup
	var first *fixture
	for who := range 4 {
		c := config(dir, handlertest.Constant("c.jsonl"))
		c.Fsync, c.Rotate.Size = "none", 5000
		f := openSink(t, c, realDisk())
		first = f
		for lane := range 2 {
			sinks.Go(func() {
				for n := range 100 {
					f.write("k", fmt.Sprintf(`{"who":"%d-%d","n":%d}`, who, lane, n), `{}`)
				}
			})
		}
		defer f.shut()
	}
	sinks.Wait()
	seen := map[string]int{}
	names := first.names()
	for _, name := range names {
		for line := range strings.Lines(first.read(name)) {
			seen[line]++
		}
	}
	if len(names) < 4 || len(seen) != 801 || seen["{}\n"] != 800 {
		t.Fatalf("%d files, %d different lines, %d {}", len(names), len(seen), seen["{}\n"])
	}
	for line, n := range seen {
		if n != 1 && line != "{}\n" {
			t.Errorf("%q stands there %d times", line, n)
		}
	}
}
