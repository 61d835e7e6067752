package expression

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/handlers"
)

// TestEvaluationIsBounded has what would run for ages, or fill the memory.
func TestEvaluationIsBounded(t *testing.T) {
	items := func(n int, item string) string { return `{"items":[` + strings.Repeat(item+",", n-1) + item + `]}` }
	doubled := "let a0 = payload.items; "
	for i := range 40 {
		doubled += fmt.Sprintf("let a%d = [a%d, a%d]; ", i+1, i, i)
	}
	long := "let t0 = payload.s; "
	for i := range 40 {
		long += fmt.Sprintf("let t%d = t%d + t%d; ", i+1, i, i)
	}
	const tooManySteps = "the expressions take more than 50000000 steps, which limits.steps allows one record"
	const tooManyBytes = "the expressions make more than 67108864 bytes, which limits.bytes allows one record"
	for _, row := range []one{
		{source: `count(payload.items, # == 1)`, value: items(maxList, "1"), want: int64(maxList)},
		{source: `count(payload.items, # == 1)`, value: items(maxList+1, "1"), err: "payload.items has 100001 elements: count takes at most 100000"},
		{source: `all(payload.items, all(payload.items, # == 1))`, value: items(2000, "1"), err: tooManySteps},
		{source: `any(payload.items, # + 1 in payload.items)`, value: items(5000, "1"), err: tooManySteps},
		{source: `1..200000`, value: `{}`, err: ""},
		{source: `payload.a..payload.b`, value: `{"a":-9223372036854775808,"b":9223372036854775807}`, err: "payload.a..payload.b has more than 100000 elements"},
		{source: `map(1..5000, payload.s + "x")`, value: `{"s":"` + strings.Repeat("s", 100_000) + `"}`, err: tooManyBytes},
		{source: long + "len(t40)", value: `{"s":"0123456789"}`, err: tooManyBytes},
		{source: doubled + "a40", value: `{"items":[]}`, err: tooManySteps},
		{source: doubled + "a40 == a40", value: `{"items":[]}`, err: tooManySteps},
		{source: doubled + "toJSON(a40)", value: `{"items":[]}`, err: tooManySteps},
		{source: doubled + "len(flatten(a40))", value: `{"items":[]}`, err: tooManySteps},
		{source: doubled + "max(a40)", value: `{"items":[]}`, err: tooManySteps},
		{source: doubled + "len(uniq(a40))", value: `{"items":[]}`, err: tooManySteps},
		{source: `reduce(1..5000, [#acc], 0)`, value: `{}`, err: "the expression makes a value nested deeper than 1000"},
		{source: `replace(payload.s, "s", payload.s)`, value: `{"s":"` + strings.Repeat("s", 100_000) + `"}`, err: tooManyBytes},
		{source: `join(map(1..10000, payload.s))`, value: `{"s":"` + strings.Repeat("s", 100_000) + `"}`, err: tooManyBytes},
		{source: `split(payload.s, "")`, value: `{"s":"` + strings.Repeat("s", 200_000) + `"}`, err: "split makes a list of more than 100000 elements"},
	} {
		t.Run(shorten(row.source), func(t *testing.T) {
			t.Parallel()
			s := NewScope(Options{})
			e, found := s.Expression(row.source)
			if row.err == "" && row.want == nil {
				if found == nil {
					t.Fatal("a constant range without bounds")
				}
				return
			}
			if found != nil {
				t.Fatalf("%+v", found)
			}
			got, err := e.Value(row.input(t, s))
			if text(err) != row.err || got != row.want {
				t.Fatalf("%.100v and %v, want %v and %q", got, err, row.want, row.err)
			}
		})
	}
}

func TestInputSurvivesErrors(t *testing.T) {
	s := NewScope(Options{})
	e, _ := s.Expression(`map(payload.items, # + 1)`)
	in := s.NewInput()
	for range 3 {
		if err := in.Load(orderRecord(`{"items":[1,"x"]}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Value(in); err == nil {
			t.Fatal("text was added to a number")
		}
		if err := in.Load(orderRecord(`{"items":[1,2]}`)); err != nil {
			t.Fatal(err)
		}
		if v, err := e.Value(in); err != nil || len(v.([]any)) != 2 {
			t.Fatal(v, err)
		}
	}
}

func TestInputsRunSideBySide(t *testing.T) {
	s := NewScope(Options{})
	e, _ := s.Condition(`payload.n % 2 == 0 && any(payload.items, # == payload.n)`)
	tmpl, _ := s.Template("k:${payload.n}", PlaceKey)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			in := s.NewInput()
			for n := g; n < 400; n += 4 {
				value := fmt.Sprintf(`{"n":%d,"items":[0,%d]}`, n, n)
				if err := in.Load(&handlers.Record{Value: []byte(value)}); err != nil {
					t.Error(err)
				}
				if got, err := e.Bool(in); err != nil || got != (n%2 == 0) {
					t.Errorf("%s: %v %v", value, got, err)
				}
				if key, err := tmpl.Text(in); err != nil || key != fmt.Sprintf("k:%d", n) {
					t.Errorf("%s: %q %v", value, key, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestFilterAllocatesNothing(t *testing.T) {
	s := NewScope(Options{})
	e, _ := s.Condition(benchmarkFilter)
	in, rec := s.NewInput(), &handlers.Record{Value: benchmarkValue(300, true)}
	if n := testing.AllocsPerRun(100, func() {
		if in.Load(rec) != nil {
			t.Error("not loaded")
		}
		if ok, err := e.Bool(in); !ok || err != nil {
			t.Error(ok, err)
		}
	}); n > 0 {
		t.Fatalf("%v allocations a record", n)
	}
}
