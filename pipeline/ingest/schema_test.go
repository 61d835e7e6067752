package ingest_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/pipeline/ingest"
	"github.com/millrace/millrace/pipeline/testbed/hostile"
)

func checking(t *testing.T, schema string) http.Handler {
	t.Helper()
	return ingest.New(&ingest.Plan{Routes: []ingest.Route{{Path: "/checked", Topic: "checked", Schema: schemaOf(t, schema), MaxBytes: 1 << 20}}},
		&producer{}, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A schema that refers to itself costs no more than the value is large, and the
// answer is the right one.
func TestRecursiveSchema(t *testing.T) {
	s := checking(t, hostile.RecursiveSchema)
	for _, c := range []struct {
		depth  int
		end    string
		status int
	}{
		{3, `{"op":"eq","args":[1]}`, 202}, {3, `{"op":"zz"}`, 400},
		{18, `{"op":"eq","args":[1]}`, 202}, {18, `{"op":"zz"}`, 400},
		{300, `{"op":"eq","args":[1,2]}`, 202}, {300, `{"op":"eq","args":["1"]}`, 400},
	} {
		bytes := allocated(func() {
			if w := post(s, "/checked", hostile.NestedRule(c.depth, c.end), nil); w.Code != c.status {
				t.Errorf("depth %d ending in %s: got %d %s, want %d", c.depth, c.end, w.Code, clipped(w.Body.String()), c.status)
			}
		})
		if bytes > 64<<20 {
			t.Errorf("depth %d ending in %s took %d MiB", c.depth, c.end, bytes>>20)
		}
	}
}

// Violations without end cost little, and the first of them are told.
func TestManyViolations(t *testing.T) {
	s := checking(t, `{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string"}}}}`)
	body := `{"tags":[` + strings.Repeat("1,", 520_000) + `1]}`
	bytes := allocated(func() {
		w := post(s, "/checked", body, nil)
		if w.Code != 400 || strings.Count(w.Body.String(), "got number, want string") != 20 {
			t.Errorf("got %d %s", w.Code, clipped(w.Body.String()))
		}
	})
	if bytes > 256<<20 {
		t.Errorf("a body of 1 MiB took %d MiB", bytes>>20)
	}
}

// What can't be decided within the steps is refused, always at the same step.
func TestCostlyValues(t *testing.T) {
	for name, c := range map[string]struct{ schema, body string }{
		"each item against many schemas": {
			`{"items":{"anyOf":[` + strings.Repeat(`{"properties":{"a":{"type":"string"}},"required":["b"]},`, 400) + `true]}}`,
			`[` + strings.Repeat(`{"a":1},`, 10_000) + `{}]`,
		},
		"lists of lists without repeats": {`{"$defs":{"l":{"uniqueItems":true,"items":{"$ref":"#/$defs/l"}}},"$ref":"#/$defs/l"}`,
			strings.Repeat("[", 900) + strings.Repeat("1,", 200_000) + "1" + strings.Repeat("]", 900)},
		"long texts against many patterns": {`{"items":{"allOf":[` + strings.Repeat(`{"pattern":"^(a+)+$"},`, 200) + `true]}}`,
			`["` + strings.Repeat("a", 1<<19) + `"]`},
	} {
		t.Run(name, func(t *testing.T) {
			s := checking(t, c.schema)
			for range 3 {
				if w := post(s, "/checked", c.body, nil); w.Code != 422 || text(w) != `{"error":"it takes too many steps to check the value against the schema"}` {
					t.Fatalf("got %d %s", w.Code, clipped(w.Body.String()))
				}
			}
		})
	}
}

// Where reasons would take too long to find, one general reason stands for all.
func TestReasonsAreBounded(t *testing.T) {
	s := checking(t, `{"additionalProperties":{"additionalProperties":{"type":"string"}}}`)
	var body strings.Builder
	for i := range 19_000 {
		fmt.Fprintf(&body, `"k%d":{"a":"x"},`, i)
	}
	w := post(s, "/checked", "{"+body.String()+`"z":{"a":1}}`, nil)
	if want := `{"error":"the record does not fit the topic's schema","reasons":[{"path":"","message":"it does not fit; where exactly would take too long to find out"}]}`; w.Code != 400 || text(w) != want {
		t.Errorf("got %d %s", w.Code, clipped(w.Body.String()))
	}
	// Neither a place nor a message is longer for what the client sent.
	long := strings.Repeat("ä", 100_000)
	w = post(s, "/checked", `{"`+long+`":{"a":[1]}}`, nil)
	if w.Code != 400 || w.Body.Len() > 2000 {
		t.Errorf("got %d and %d bytes", w.Code, w.Body.Len())
	}
}

// Numbers of any length are refused before anything computes with them, and their
// places are found in one go over the value.
func TestLongNumbers(t *testing.T) {
	s := checking(t, `{"properties":{"total":{"type":"integer","minimum":0,"multipleOf":0.01}}}`)
	digits := strings.Repeat("9", 1_000_000)
	for _, c := range []struct{ body, want string }{
		{`{"total":0.` + digits + `}`, "the number has more than 1000 digits"},
		{`{"total":` + digits + `}`, "the number has more than 1000 digits"},
		{`{"total":1e` + digits + `}`, "the number has more than 1000 digits"},
		{`{"total":1e401}`, "the number is out of range"},
		{`{"total":1e-401}`, "the number is out of range"},
	} {
		w := post(s, "/checked", c.body, nil)
		if want := `{"error":"the record does not fit the topic's schema","reasons":[{"path":"/total","message":"` + c.want + `"}]}`; w.Code != 400 || text(w) != want {
			t.Errorf("got %d %s, want %s", w.Code, clipped(w.Body.String()), want)
		}
	}
	if w := post(s, "/checked", `{"total":1e400}`, nil); w.Code != 202 {
		t.Errorf("a large number: %d %s", w.Code, w.Body)
	}
	long := `{"` + strings.Repeat("k", 1<<19) + `":[` + strings.Repeat("1,", 200_000) + `1]}`
	if bytes := allocated(func() { post(s, "/checked", long, nil) }); bytes > 512<<20 {
		t.Errorf("many numbers below a long name took %d MiB", bytes>>20)
	}
}

func TestSchemaWithoutBound(t *testing.T) {
	for _, text := range []string{
		`{"$dynamicAnchor":"node","properties":{"a":{"$dynamicRef":"#node"}}}`,
		`{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"properties":{"a":{"$recursiveRef":"#"}}}`,
	} {
		if _, err := ingest.NewSchema("file:///schema.json", documentsOf(t, text)); err == nil || !strings.Contains(err.Error(), "write $ref") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func clipped(text string) string { return text[:min(len(text), 300)] }

// Values that are checked at the same time do not meet.
func TestChecksAtTheSameTime(t *testing.T) {
	s := checking(t, hostile.RecursiveSchema)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 20 {
				end, want := `{"op":"eq","args":[1]}`, 202
				if (i+j)%2 == 0 {
					end, want = `{"op":"zz"}`, 400
				}
				if w := post(s, "/checked", hostile.NestedRule(i, end), nil); w.Code != want {
					t.Errorf("depth %d ending in %s: %d", i, end, w.Code)
				}
			}
		})
	}
	wg.Wait()
}
