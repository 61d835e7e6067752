package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMain is also the processes that the bench starts of itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
		return
	}
	os.Exit(m.Run())
}

// A small bench runs to its end with nothing but Go, and its effects are right.
func TestBench(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	o, err := parse([]string{"-on", "embedded", "-records", "3000", "-rounds", "1", "-o", file, "-latency-time", "100ms",
		"-only", "sarama,sarama-flush,franz,filter,keyed,until-end,replay-keyed,http"})
	if err != nil {
		t.Fatal(err)
	}
	if err := bench(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	all, err := readResults(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all.Jobs.Figures); n != 8 {
		t.Fatalf("figures of %d jobs", n)
	}
	for _, f := range all.Jobs.Figures {
		if f.Effects < 1400 || f.Duplicates+f.Disorder+f.Wrong > 0 || f.Rate <= 0 || f.Job != "replay-keyed" && f.Committed != 3000 {
			t.Errorf("%s: %+v", f.Job, f.figures)
		}
	}
}

// What the docs show is what the file of results holds.
func TestReportIsFresh(t *testing.T) {
	all, err := readResults("../../docs/bench.json")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := all.pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is stale: run make generate (-want +got)\n%s", name, diff)
		}
	}
}

func TestTally(t *testing.T) {
	var all tally
	for _, effect := range []struct{ id, amount, customer int }{
		{1, 50, 7}, {3, 99, 7}, {2, 99, 7}, {2, 99, 8}, {4, 49, 8}, {9, 60, 8}, {70_000, 60, 8},
	} {
		all.take(order(effect.id, effect.amount, effect.customer, 300))
	}
	all.take([]byte("{}"))
	want := figuresOfEffects{Effects: 8, Duplicates: 1, Disorder: 1, Wrong: 2}
	if diff := cmp.Diff(want, all.figures()); diff != "" {
		t.Error(diff)
	}
}

func TestOrdersHaveTheirSize(t *testing.T) {
	for _, size := range []int{300, 20_000, 1_000_000} {
		if n := len(order(12345, 50, 999, size)); n < size-20 || n > size+20 {
			t.Errorf("%d bytes, want %d", n, size)
		}
	}
}

func TestPrefixIsMarkedInOrder(t *testing.T) {
	var marks []int
	p := &prefix[int]{mark: func(n int) { marks = append(marks, n) }}
	var slots []*slot[int]
	for i := range 5 {
		slots = append(slots, p.add(i))
	}
	for _, i := range []int{1, 0, 3, 4, 2} {
		slots[i].finish()
	}
	if !slices.Equal(marks, []int{1, 4}) {
		t.Error(marks)
	}
}

func TestMediansAndRatiosAreOfTheRounds(t *testing.T) {
	round := func(rate, cpu float64, duplicates int) figures {
		return figures{Rate: rate, CPU: cpu, figuresOfEffects: figuresOfEffects{Duplicates: duplicates}}
	}
	all := []jobFigures{
		{Job: "sarama-flush", Rounds: []figures{round(100, 2, 0), round(50, 4, 0), round(200, 2, 0)}},
		{Job: "filter", Rounds: []figures{round(110, 4, 0), round(60, 4, 3), round(210, 2, 0)}},
	}
	f := medians(all[1].Rounds)
	if f.Rate != 110 || f.CPU != 4 || f.Duplicates != 3 {
		t.Error(f)
	}
	if r := beside(all, 1, "sarama-flush"); r == nil || r.Rate != 1.1 || r.CPU != 1 {
		t.Error(r)
	}
	if r := beside(all, 0, "sarama-flush"); r != nil {
		t.Error("a job stands beside itself:", r)
	}
}

// A run has nothing in flight at first, 100 effects' worth after that, and none at the end.
func TestFiguresAreOfTheMiddle(t *testing.T) {
	var marks []mark
	at := time.Now()
	for n := range 112 {
		work := min(100+max(n-1, 0)*10, 1100) // ms
		marks = append(marks, mark{at: at.Add(time.Duration(work) * time.Millisecond), effects: min(int64(max(n-1, 0))*10, 1000),
			job: usage{cpu: time.Duration(work) * time.Millisecond / 2, peak: 7}})
	}
	var f figures
	f.of(marks, &load{records: 2000, passed: 1000, size: 300})
	if f.Rate < 1999 || f.Rate > 2001 || f.CPU < 249 || f.CPU > 251 || f.Peak != 7 || f.Cut {
		t.Errorf("%+v", f)
	}
}

func TestThousands(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 7.6: "8", 999.4: "999", 345_678: "346,000", 1_000_000: "1,000,000"} {
		if got := thousands(f); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct{ args, jobs, wrong string }{
		{args: "-only filter,keyed", jobs: "filter keyed"},
		{args: "-only latency", jobs: ""},
		{args: "-only jobs,idle", jobs: "all"},
		{args: "-only filer", wrong: "filer"},
		{args: "-on redis", wrong: "redis"},
		{args: "filter", wrong: "filter"},
		{args: "-rounds 0", wrong: "-rounds"},
	} {
		o, err := parse(strings.Fields(c.args))
		if err != nil {
			if c.wrong == "" || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: %v", c.args, err)
			}
			continue
		}
		var got []string
		for _, j := range o.jobs() {
			got = append(got, j.name)
		}
		if want := c.jobs; c.wrong != "" || want != "all" && strings.Join(got, " ") != want || want == "all" && len(got) != len(jobs()) {
			t.Errorf("%s: %q", c.args, got)
		}
	}
}

// A file of results is a file for both: what is not measured stays.
func TestPartsAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	before := &results{Idle: &section[idleFigures]{Figures: []idleFigures{{Title: "old"}}},
		Keys: &section[keyFigures]{Figures: []keyFigures{{Store: "embedded"}}}}
	if err := before.write(file); err != nil {
		t.Fatal(err)
	}
	all, err := readResults(file)
	if err != nil {
		t.Fatal(err)
	}
	all.take(&results{Idle: &section[idleFigures]{Figures: []idleFigures{{Title: "new"}}}, Keys: &section[keyFigures]{}})
	if all.Idle.Figures[0].Title != "new" || all.Keys == nil || all.Keys.Figures[0].Store != "embedded" {
		t.Errorf("%+v", all)
	}
}
