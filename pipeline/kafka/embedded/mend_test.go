package embedded

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seed leaves a folder with the topic orders: ten records in ten batches, of
// which the group invoices committed seven.
func seed(t *testing.T, dir string) {
	t.Helper()
	b := start(t, Config{Dir: dir})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr())
	produce(t, c, "orders", numbered("v", 10)...)
	commitOffset(t, c, "invoices", "orders", 5)
	commitOffset(t, c, "mail", "orders", 2)
	commitOffset(t, c, "invoices", "orders", 7)
	c.Close()
	stop(t, b)
}

func orders(dir string, name string) string {
	return filepath.Join(dir, partitionsName, "orders-0", name)
}

// batchesOf returns where each batch of the file begins, and its end.
func batchesOf(t *testing.T, raw []byte) []int {
	t.Helper()
	var at []int
	for pos := 0; pos < len(raw); {
		at = append(at, pos)
		pos += batchSize(raw[pos:])
	}
	return append(at, len(raw))
}

func edit(t *testing.T, path string, change func(raw []byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(raw), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamageToALog(t *testing.T) {
	tests := []struct {
		name   string
		change func(at []int, raw []byte) []byte
		// gone are the offsets lost; end is where new records go on.
		gone []int
		end  int64
		// says are parts of the alarms' messages, in order.
		says []string
	}{
		{
			name:   "one byte in the middle",
			change: func(at []int, raw []byte) []byte { raw[at[4]+30] ^= 1; return raw },
			gone:   []int{4}, end: 10,
			says: []string{"orders/0 lost record 4:"},
		},
		{
			name:   "the length of a batch",
			change: func(at []int, raw []byte) []byte { raw[at[4]+9] ^= 0xff; return raw },
			gone:   []int{4}, end: 10,
			says: []string{"orders/0 lost record 4:"},
		},
		{
			name: "the offset of a batch, which no checksum covers",
			change: func(at []int, raw []byte) []byte {
				binary.BigEndian.PutUint64(raw[at[4]:], 1<<40+4)
				return raw
			},
			end: 10,
		},
		{
			name:   "three batches",
			change: func(at []int, raw []byte) []byte { clear(raw[at[1]:at[4]]); return raw },
			gone:   []int{1, 2, 3}, end: 10,
			says: []string{"orders/0 lost records 1–3:"},
		},
		{
			name:   "the last batch",
			change: func(at []int, raw []byte) []byte { raw[at[9]+30] ^= 1; return raw },
			gone:   []int{9}, end: 10,
			says: []string{"are no whole batch of records", "the log ended at 10 when it was closed, and ends at 9 now"},
		},
		{
			name:   "the tail is gone",
			change: func(at []int, raw []byte) []byte { return raw[:at[3]+5] },
			gone:   []int{3, 4, 5, 6, 7, 8, 9}, end: 10,
			says: []string{
				"are no whole batch of records", "the log ended at 10",
				`orders/0 lost records 3–6: group "invoices" committed offset 7, and the log ends at 3`,
			},
		},
		{
			name:   "everything is gone",
			change: func([]int, []byte) []byte { return nil },
			gone:   []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, end: 10,
			says: []string{"the log ended at 10", `group "invoices" committed offset 7`, `group "mail" committed offset 2`},
		},
		{
			name:   "something was appended",
			change: func(_ []int, raw []byte) []byte { return append(raw, "half a bat"...) },
			end:    10,
			says:   []string{"the last 10 bytes of orders/0, at offset 10, are no whole batch"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			seed(t, dir)
			edit(t, orders(dir, "0.dat"), func(raw []byte) []byte { return test.change(batchesOf(t, raw), raw) })

			told := newAlarms()
			b := start(t, Config{Dir: dir, OnAlarm: told.add})
			checkMessages(t, told, test.says)
			c := client(t, b.Addr())
			if end := endOf(t, c, "orders"); end != test.end {
				t.Errorf("the log ends at %d, want %d", end, test.end)
			}
			produce(t, c, "orders", "new")
			var want, values []string
			for i, v := range numbered("v", 10) {
				if !slices.Contains(test.gone, i) {
					want = append(want, strings.TrimPrefix(v, "v-")+" "+v)
					values = append(values, v)
				}
			}
			want, values = append(want, "10 new"), append(values, "new")
			if diff := cmp.Diff(want, read(t, b.Addr(), "orders")); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(values, readSarama(t, b.Addr(), "orders", len(values))); diff != "" {
				t.Errorf("as sarama reads them (-want +got):\n%s", diff)
			}
			stop(t, b)

			// What was mended stays so, and is told once.
			again := newAlarms()
			b = start(t, Config{Dir: dir, OnAlarm: again.add})
			checkMessages(t, again, nil)
			if diff := cmp.Diff(want, read(t, b.Addr(), "orders")); diff != "" {
				t.Errorf("after another start (-want +got):\n%s", diff)
			}
		})
	}
}

func checkMessages(t *testing.T, told *alarms, says []string) {
	t.Helper()
	got := told.list()
	if len(got) != len(says) {
		t.Fatalf("alarms %+v, want %d", got, len(says))
	}
	for i, a := range got {
		if !strings.Contains(a.Message, says[i]) {
			t.Errorf("alarm %d says %q, want %q", i, a.Message, says[i])
		}
		if a.Topic != "orders" {
			t.Errorf("alarm %d is of topic %q", i, a.Topic)
		}
	}
}

func TestDamageKeepsWhatItCutsOut(t *testing.T) {
	dir := t.TempDir()
	seed(t, dir)
	edit(t, orders(dir, "0.dat"), func(raw []byte) []byte { return append(raw, "half a batch"...) })
	start(t, Config{Dir: dir})
	kept, err := filepath.Glob(filepath.Join(dir, damagedName, "orders-0-0.dat-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	if text, err := os.ReadFile(kept[0]); err != nil || string(text) != "half a batch" {
		t.Errorf("kept %q, %v", text, err)
	}
}

// A broken entry in the middle costs itself; without mending it would cost all
// that follow, and all that are ever appended.
func TestDamageToCommits(t *testing.T) {
	for name, change := range map[string]func(raw []byte) []byte{
		"the first entry": func(raw []byte) []byte { raw[frameHead] ^= 1; return raw },
		"the end":         func(raw []byte) []byte { return append(raw, "\x20\x00\x00\x00torn"...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			seed(t, dir)
			edit(t, filepath.Join(dir, groupsFile), change)
			told := newAlarms()
			start(t, Config{Dir: dir, OnAlarm: told.add})
			if got := told.list(); len(got) != 1 || !strings.Contains(got[0].Message, "bytes of groups.log are damaged") {
				t.Fatalf("alarms %+v", got)
			}
		})
	}
}

func TestCommitsBehindATornEntrySurviveAKill(t *testing.T) {
	dir := t.TempDir()
	seed(t, dir)
	edit(t, filepath.Join(dir, groupsFile), func(raw []byte) []byte { return append(raw, "\x20\x00\x00\x00torn"...) })
	addr, _, kill := startChild(t, dir)
	c := client(t, addr)
	commitOffset(t, c, "invoices", "orders", 9)
	c.Close()
	kill()
	b := start(t, Config{Dir: dir})
	if got := committed(t, client(t, b.Addr()), "invoices", "orders"); got != 9 {
		t.Errorf("committed %d, want 9", got)
	}
}

func TestAFolderThatLostItsFiles(t *testing.T) {
	t.Run("meta.json", func(t *testing.T) {
		dir := t.TempDir()
		seed(t, dir)
		if err := os.Remove(filepath.Join(dir, metaFile)); err != nil {
			t.Fatal(err)
		}
		_, err := mend(t.Context(), dir, newAlarms().add)
		if err == nil || !strings.Contains(err.Error(), "its file meta.json is gone") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("topics.json is damaged", func(t *testing.T) {
		dir := t.TempDir()
		seed(t, dir)
		edit(t, filepath.Join(dir, topicsFile), func(raw []byte) []byte { return raw[:len(raw)/2] })
		_, err := mend(t.Context(), dir, newAlarms().add)
		if err == nil || !strings.Contains(err.Error(), "topics.json is damaged") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("topics.json", func(t *testing.T) {
		dir := t.TempDir()
		seed(t, dir)
		if err := os.Remove(filepath.Join(dir, topicsFile)); err != nil {
			t.Fatal(err)
		}
		told := newAlarms()
		b := start(t, Config{Dir: dir, OnAlarm: told.add})
		if got := told.list(); len(got) != 1 || !strings.Contains(got[0].Message, "no topic claims the partition folder orders-0") {
			t.Fatalf("alarms %+v", got)
		}
		create(t, b, map[string]int32{"orders": 1})
		produce(t, client(t, b.Addr()), "orders", "new")
		if got := read(t, b.Addr(), "orders"); !slices.Equal(got, []string{"0 new"}) {
			t.Errorf("read %v", got)
		}
	})
}
