package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// results are all that was measured, as the file keeps it.
type results struct {
	Jobs      *section[jobFigures]     `json:"jobs,omitempty"`
	Latency   *section[latencyFigures] `json:"latency,omitempty"`
	Sizes     *section[sizeFigures]    `json:"sizes,omitempty"`
	Idle      *section[idleFigures]    `json:"idle,omitempty"`
	Pipelines *section[idleFigures]    `json:"pipelines,omitempty"`
	Keys      *section[keyFigures]     `json:"keys,omitempty"`
}

// section is what was measured in one run of the bench: only its own figures may be
// compared with one another.
type section[F any] struct {
	About   about `json:"about"`
	Figures []F   `json:"figures"`
}

// about is how figures came about.
type about struct {
	Commit  string `json:"commit"`
	Date    string `json:"date"`
	Records int    `json:"records"`
	Rounds  int    `json:"rounds"`
	// Partitions are those of each topic.
	Partitions int `json:"partitions"`
	// Load is the system's load of a minute before and after, of which the bench
	// itself makes up to as much as there are cores.
	Load      float64 `json:"load_before"`
	LoadAfter float64 `json:"load_after"`
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	MemoryMB  int     `json:"memory_mb"`
	System    string  `json:"system"`
	Go        string  `json:"go"`
	// Software are versions by name.
	Software map[string]string `json:"software"`
}

func aboutNow(o *options, rounds int) about {
	a := about{Commit: commit(), Date: time.Now().UTC().Format("2006-01-02"), Records: o.records, Rounds: rounds,
		Partitions: o.partitions, Load: load1(), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Go: runtime.Version(), CPU: "unknown", Software: map[string]string{}}
	if text, ok := lineOf("/proc/cpuinfo", "model name"); ok {
		a.CPU = text
	}
	if text, ok := lineOf("/proc/meminfo", "MemTotal"); ok {
		kilobytes, _ := strconv.Atoi(strings.TrimSuffix(text, " kB"))
		a.MemoryMB = kilobytes / 1024
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, m := range build.Deps {
			switch m.Path {
			case "github.com/IBM/sarama", "github.com/twmb/franz-go":
				a.Software[m.Path[strings.LastIndex(m.Path, "/")+1:]] = m.Version
			}
		}
	}
	if out, err := exec.Command("redis-server", "--version").Output(); err == nil {
		if _, rest, ok := strings.Cut(string(out), "v="); ok {
			a.Software["redis"] = strings.Fields(rest)[0]
		}
	}
	if out, err := exec.Command("node", "--version").Output(); err == nil {
		a.Software["node"] = strings.TrimSpace(string(out))
	}
	return a
}

// commit is what the bench was built of, with a plus where files differ from it.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// lineOf is the value of a name in a file of names and values.
func lineOf(file, name string) (string, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(text)) {
		if n, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(n) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// load1 is the system's load of the last minute, 0 where it is not known.
func load1() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	load, _ := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	return load
}

// readResults reads a file; one that is not there holds nothing.
func readResults(file string) (all results, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return all, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// take puts what was measured in the place of what was before.
func (r *results) take(measured *results) {
	takePart(&r.Jobs, measured.Jobs)
	takePart(&r.Latency, measured.Latency)
	takePart(&r.Sizes, measured.Sizes)
	takePart(&r.Idle, measured.Idle)
	takePart(&r.Pipelines, measured.Pipelines)
	takePart(&r.Keys, measured.Keys)
}

func takePart[F any](before **section[F], measured *section[F]) {
	if measured != nil && len(measured.Figures) > 0 {
		*before = measured
	}
}

func (r *results) write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
