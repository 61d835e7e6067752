package preview_test

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/outcome"
)

// TestDryRunSaysWhatARunDoes compares each outcome, request and dead letter of a
// dry run with those of a run, for every record of every example: once with an
// empty key store, and once more, in a group that begins anew, with the keys that
// the first run left.
func TestDryRunSaysWhatARunDoes(t *testing.T) {
	for _, file := range examples(t) {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, []string{file}, nil)
			s.publish(t, 3, readRecords(t, filepath.Join(filepath.Dir(file), "records.jsonl")))
			twice(t, s)
		})
	}
}

// TestDryRunOfTenThousand does the same once with a generated mix of all that
// records can be, through pipelines that use all that pipelines can say.
func TestDryRunOfTenThousand(t *testing.T) {
	s := mixed(t, 1, 10_000)
	dry := s.dryRun(t)
	run := s.run(t)
	same(t, dry, run)
	for _, o := range outcome.All() {
		n := 0
		for _, e := range run.Records {
			if e.Outcome == o {
				n++
			}
		}
		t.Logf("%-13s %d", o, n)
		if n < 200 {
			t.Errorf("only %d records of the mix ended as %s: it does not test that", n, o)
		}
	}
}

// TestDryRunOfAMixAgain goes on with the keys that a run of such a mix left.
func TestDryRunOfAMixAgain(t *testing.T) { twice(t, mixed(t, 2, 1500)) }

// mixed is a stage with n records of the mix.
func mixed(t *testing.T, seed uint64, n int) *stage {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pipelines.yaml")
	if err := os.WriteFile(file, []byte(mixedPipelines), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, []string{file}, nil)
	s.publish(t, 4, mixedRecords(seed, n))
	return s
}

// twice runs, and runs again from the beginning, each after a dry run that says
// what will come.
func twice(t *testing.T, s *stage) {
	t.Helper()
	dry := s.dryRun(t)
	if len(dry.Records) == 0 {
		t.Fatal("the dry run saw no records")
	}
	same(t, dry, s.run(t))
	if t.Failed() {
		return
	}
	s.again = true
	dry = s.dryRun(t)
	same(t, dry, s.run(t))
}

func readRecords(t *testing.T, path string) []*handlers.Record {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var records []*handlers.Record
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		r, err := handlers.DecodeJSON(lines.Bytes(), handlers.Record{Partition: -1, Offset: -1})
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}
