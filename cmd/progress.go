package cmd

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows on a terminal how far a long command is, on one line that is
// written over; elsewhere it shows nothing.
type progress struct {
	w       io.Writer // nil where nothing is shown
	verb    string
	noun    string // what is counted
	size    int64  // bytes to read, 0 where unknown
	read    int64
	records int
	began   time.Time
	shown   time.Time
}

const progressWidth = 30

func (a *app) newProgress(verb string, size int64) *progress {
	p := &progress{verb: verb, noun: "record", size: size, began: time.Now()}
	if terminal(a.err) && !a.quiet {
		p.w = raw(a.err) // of numbers and our own words
	}
	return p
}

// add counts records, and the bytes of input that they were.
func (p *progress) add(records int, bytes int64) {
	p.records += records
	p.read += bytes
	if p.w == nil || time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.w, "\r\x1b[K%s", p.line())
}

func (p *progress) line() string {
	rate := float64(p.records) / max(time.Since(p.began).Seconds(), 0.001)
	line := fmt.Sprintf("%s %s, %.0f/s", p.verb, count(p.records, p.noun), rate)
	if p.size == 0 {
		return line
	}
	part := min(1, float64(p.read)/float64(p.size))
	full := int(part * progressWidth)
	return fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("█", full), strings.Repeat("░", progressWidth-full),
		part*100, line)
}

// done clears the line.
func (p *progress) done() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
