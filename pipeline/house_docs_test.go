package pipeline_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page is a page of docs/.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var pathInText = regexp.MustCompile("`((?:cmd|pipeline|handlers|docs|examples)/[A-Za-z0-9_./-]+)`")

// Each path that the pages for engineers name is there.
func TestPathsOfDocsExist(t *testing.T) {
	for _, name := range []string{"architecture.md", "contributing.md"} {
		found := pathInText.FindAllStringSubmatch(page(t, name), -1)
		if len(found) < 10 {
			t.Errorf("%s names %d paths: the search is broken", name, len(found))
		}
		for _, m := range found {
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s names %s: %v", name, m[1], err)
			}
		}
	}
}

// Each arrow of the picture is one of the house.
func TestPictureOfTheHouse(t *testing.T) {
	drawn := regexp.MustCompile(`(?m)^  (\S+) --> (\S+)$`).FindAllStringSubmatch(page(t, "architecture.md"), -1)
	if len(drawn) < 20 {
		t.Errorf("%d arrows are drawn: the search is broken", len(drawn))
	}
	for _, m := range drawn {
		if !slices.Contains(strings.Fields(arrows[m[1]]), m[2]) {
			t.Errorf("docs/architecture.md draws %s --> %s, which the house has not", m[1], m[2])
		}
	}
}

// A record's way can be read in one sitting.
func TestTheWayOfARecordIsShort(t *testing.T) {
	_, way, ok := strings.Cut(page(t, "architecture.md"), "## The way of a record\n")
	way, _, ends := strings.Cut(way, "\n## ")
	files := pathInText.FindAllStringSubmatch(way, -1)
	if !ok || !ends || len(files) < 10 || len(files) > 16 {
		t.Fatalf("%d files", len(files))
	}
	lines := 0
	for _, m := range files {
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(m[1])))
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(text, []byte("\n"))
	}
	if lines > 2700 {
		t.Errorf("the %d files of a record's way have %d lines, more than 2,700", len(files), lines)
	} else {
		t.Logf("%d files, %d lines", len(files), lines)
	}
}
