package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 255)
	for name, says := range map[string]string{
		"clicks.jsonl":                    "",
		"eu/2026/clicks.log":              "",
		"..clicks":                        "begins with .",
		"-rf":                             "begins with",
		"eu/.htaccess":                    "begins with .",
		" ":                               "space",
		"eu /clicks":                      "space",
		"a\u202ecod.exe":                  "hides",
		"a\u200bb":                        "hides",
		"a\u009b2J":                       "control",
		"a\xffb":                          "hides",
		"naïve ☃.jsonl":                   "",
		long:                              "",
		"":                                "empty",
		"../clicks":                       "..",
		"eu/../clicks":                    "..",
		"eu/./clicks":                     "..",
		"eu//clicks":                      "empty",
		"eu/":                             "empty",
		"/etc/passwd":                     "root",
		"a\x00b":                          "control",
		"a\nb":                            "control",
		`a\b`:                             "backslash",
		long + "x":                        "255",
		strings.Repeat("abc/", 300) + "x": "1,024",
	} {
		err := checkName(name, maxName, "x/x/x")
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%.40q: got %v, want %q", name, err, says)
		}
	}
	if err := checkName("-a/.b", maxName, "-x/.x"); err != nil {
		t.Errorf("what is written out: %v", err)
	}
}

func TestCheck(t *testing.T) {
	c := config("d", handlertest.Constant("../x"))
	c.Fsync, c.Batch.Wait = "none", 1
	got := c.Check()
	if len(got) != 2 || got[0].Field != "path" || got[0].Warning || got[1].Field != "batch.wait" || !got[1].Warning {
		t.Errorf("%+v", got)
	}
	c = config("d", handlertest.Constant(strings.Repeat("x", 250)))
	if issues := c.Check(); len(issues) > 0 {
		t.Errorf("%+v", issues)
	}
	if c.Rotate.Size = 1; len(c.Check()) != 1 {
		t.Error("a name that rotation can't lengthen passes")
	}
}

// byValue makes the name from the value, as a record would.
func byValue() handlers.Template {
	return handlertest.Template("", func(r *handlers.Record) (string, error) { return string(r.Value), nil })
}

func TestRenderRefusesNames(t *testing.T) {
	f := openSink(t, config(t.TempDir(), byValue()), realDisk())
	for _, value := range []string{"../up", "", "a\x00b", strings.Repeat("x", 256)} {
		if request, err := f.Render(handlertest.View{Of: &handlers.Record{Value: []byte(value)}}); err == nil {
			t.Errorf("%.20q: %+v", value, request)
		}
	}
	if _, err := os.Stat(filepath.Join(f.dir, "..", "up")); err == nil {
		t.Error("rendering made a file")
	}
}

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		format  string
		notJSON bool
		value   []byte
		want    string
		shown   string
	}{
		"value":            {format: "value", value: []byte(`{"a": 1}`), want: "{\"a\": 1}\n", shown: `{"line":"{\"a\": 1}","path":"f"}`},
		"tombstone":        {format: "value", want: "null\n", shown: `{"line":"null","path":"f"}`},
		"JSON of lines":    {format: "value", value: []byte("{\n \"a\": \"x\\n\"\r\n}"), want: "{\"a\":\"x\\n\"}\n", shown: `{"line":"{\"a\":\"x\\n\"}","path":"f"}`},
		"text of lines":    {format: "value", notJSON: true, value: []byte("[\n]\r"), want: "[\\n]\\r\n", shown: `{"line":"[\\n]\\r","path":"f"}`},
		"record":           {format: "record", value: []byte("1"), want: "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"key\":null,\"headers\":{},\"payload\":1}\n"},
		"raw":              {format: "raw", value: []byte("a\n\nb"), want: "a\n\nb", shown: `{"path":"f","raw":"a\n\nb"}`},
		"raw of no text":   {format: "raw", value: []byte("\xff"), want: "\xff", shown: `{"path":"f","raw_base64":"/w=="}`},
		"broken JSON kept": {format: "value", value: []byte("{\n"), want: "{\\n\n", shown: `{"line":"{\\n","path":"f"}`},
	} {
		t.Run(name, func(t *testing.T) {
			conf := config(t.TempDir(), handlertest.Constant("f"))
			conf.Format = c.format
			f := openSink(t, conf, realDisk())
			r := &handlers.Record{Topic: "t", Offset: 1, Value: c.value}
			request, err := f.Render(handlertest.View{Of: r, NotJSON: c.notJSON})
			if err != nil {
				t.Fatal(err)
			}
			if shown, err := json.Marshal(request); err != nil || c.shown != "" && string(shown) != c.shown {
				t.Errorf("shown as %s, want %s (%v)", shown, c.shown, err)
			}
			if err := f.Write(t.Context(), []handlers.Call{{Record: r, Request: request}}); err != nil {
				t.Fatal(err)
			}
			if got := f.read("f"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			f.shut()
		})
	}
	conf := config(t.TempDir(), handlertest.Constant("f"))
	conf.Format = "raw"
	f := openSink(t, conf, realDisk())
	if _, err := f.Render(handlertest.View{Of: &handlers.Record{}}); !errors.Is(err, handlers.ErrSkip) {
		t.Errorf("a raw tombstone: %v", err)
	}
}

func TestPermissionsAndFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f := openSink(t, config(dir, byValue()), realDisk())
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("opening the sink touched the disk")
	}
	f.write("k", "eu/north/x")
	f.shut()
	for name, want := range map[string]os.FileMode{"eu/north/x": 0o640, "eu": 0o750 | os.ModeDir, ".": 0o750 | os.ModeDir} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode()&^0o027 != want&^0o027 || info.Mode()&0o007 != 0 {
			t.Errorf("%s: %v %v, want %v at most", name, info.Mode(), err, want)
		}
	}
}

func TestTooManyNewFiles(t *testing.T) {
	c := config(t.TempDir(), byValue())
	c.MaxNewFiles = 3
	f := openSink(t, c, realDisk())
	f.write("k", "a", "b", "c")
	calls := append(f.calls("k1", "a"), f.calls("k2", "d", "a")...)
	err := f.Write(t.Context(), calls)
	if diff := cmp.Diff([]string{"", "not_applied", "not_attempted"}, classes(err, 3)); diff != "" {
		t.Error(diff, err)
	}
	if !strings.Contains(fmt.Sprint(err), "max_new_files") {
		t.Error(err)
	}
	if got := f.names(); len(got) != 3 {
		t.Errorf("files: %v", got)
	}
	f.shut()
}

// Many names keep few files open, and each line is where it belongs.
func TestManyNames(t *testing.T) {
	c := config(t.TempDir(), byValue())
	c.OpenFiles, c.Fsync = 16, "none"
	f := openSink(t, c, realDisk())
	for range 2 {
		for from := 0; from < 300; from += 100 {
			var names []string
			for i := range 100 {
				names = append(names, fmt.Sprintf("f%d", from+i))
			}
			f.write("k", names...)
			if n := len(f.inUse()); n > 16+filesAtOnce {
				t.Fatalf("%d files are open", n)
			}
		}
	}
	f.shut()
	for i := range 300 {
		name := fmt.Sprintf("f%d", i)
		if got := f.read(name); got != name+"\n"+name+"\n" {
			t.Fatalf("%s: %q", name, got)
		}
	}
}
