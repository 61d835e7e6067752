package yamlconf

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/diag"
)

const quoteHint = "put the whole text in single quotes: '…'"

// syntaxProblem says where a file stops being YAML. The parser's own errors
// name the line where a construct began, one off, or none; so the line is found
// as the first after the longest beginning that parses, and the column by
// looking at what stands on it. read is how far the parser read of text, which
// is the source's but for what was taken out of the way. The text that was meant
// as a value as a whole, if any, is from..to.
func syntaxProblem(source *diag.Source, text []byte, err error, read int) (p diag.Problem, from, to int) {
	f := newFinder(text, err, read)
	found := f.find()
	p = diag.Problem{Place: source.At(found.at), Code: found.code, Message: found.message, Hint: found.hint,
		Fix: found.fix, FixAt: source.Range(found.from, found.to)}
	if found.why != "" {
		p.Related = &diag.Related{Place: source.At(found.other), Message: found.why}
	}
	from, to = found.from, found.to
	if p.Fix == "" {
		p.Fix, p.FixAt = f.valueInQuotes(found), source.RestOfLine(found.at)
		from, to = found.at, found.at+len(f.rest(found.at))
	}
	if found.code != diag.CodeEaten || !strings.HasPrefix(p.Fix, "'") {
		from, to = 0, 0
	}
	return p, from, to
}

// finding is what is wrong, and at which byte.
type finding struct {
	at            int
	code          diag.Code
	message, hint string
	// fix goes in the place of the bytes from..to.
	fix      string
	from, to int
	// other is a further place that it is about, and why says how.
	other int
	why   string
}

func syntaxAt(at int, message, hint string) *finding {
	return &finding{at: at, code: diag.CodeSyntax, message: message, hint: hint}
}

// eatenAt is a part of a text that YAML took for its own, and that needs quotes.
func eatenAt(at int, message string) *finding {
	return &finding{at: at, code: diag.CodeEaten, message: message, hint: quoteHint}
}

// with adds the mend.
func (found *finding) with(fix string, from, to int) *finding {
	found.fix, found.from, found.to = fix, from, to
	return found
}

type finder struct {
	text   []byte
	starts []int
	// reason is the parser's message without its line.
	reason string
	// reported is the parser's line, -1 for none; stopped is the line that it
	// had reached. Lines count from 0 here.
	reported, stopped int
}

var lineInError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func newFinder(text []byte, err error, read int) *finder {
	f := &finder{text: text, starts: []int{0}, reported: -1, reason: err.Error()}
	for i, c := range text {
		if c == '\n' || c == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			f.starts = append(f.starts, i+1)
		}
	}
	if m := lineInError.FindStringSubmatch(err.Error()); m != nil {
		f.reason = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			f.reported = n - 1
		}
	}
	f.stopped = f.lineAt(max(0, read-1))
	return f
}

func (f *finder) find() *finding {
	if found := f.conflict(); found != nil {
		return found
	}
	if name, ok := strings.CutPrefix(f.reason, "unknown anchor '"); ok {
		return f.unknownAnchor(strings.TrimSuffix(name, "' referenced"))
	}
	line := f.culprit()
	previous, colonMissing := f.missingColonAbove(line)
	if colonMissing {
		line = previous
	}
	if found := f.onLine(line, colonMissing); found != nil {
		return found
	}
	return f.indentation(line)
}

// valueInQuotes quotes the value that starts where the finding is and ends with its
// line.
func (f *finder) valueInQuotes(found *finding) string {
	line := f.lineAt(found.at)
	before, value := f.line(line)[:found.at-f.starts[line]], f.rest(found.at)
	if found.hint != quoteHint || strings.HasPrefix(value, "`") || strings.ContainsAny(before, "[{") ||
		strings.Contains(value, " #") || !keyOnly.MatchString(before) {
		return ""
	}
	return diag.Quote(value)
}

// rest is what stands on the line of a byte from there on.
func (f *finder) rest(at int) string {
	line := f.lineAt(at)
	return strings.TrimRight(f.line(line)[at-f.starts[line]:], " \t")
}

var keyOnly = regexp.MustCompile(`(^|: |- )\s*$`)

// culprit is the first line that no longer parses together with those before
// it.
func (f *finder) culprit() int {
	budget := 4 << 20
	for line := min(f.stopped, len(f.starts)-1); line > 0; line-- {
		if f.blank(line) {
			continue
		}
		if budget -= f.starts[line]; budget < 0 {
			return max(0, min(f.reported, f.stopped))
		}
		var n yaml.Node
		if decode(yaml.NewDecoder(bytes.NewReader(f.text[:f.starts[line]])), &n) == nil {
			return line
		}
	}
	first := 0
	for first < f.stopped && f.blank(first) {
		first++
	}
	return first
}

// colonless is text that may be a key whose colon is missing, and oneWord such a key
// without a value.
var (
	colonless = regexp.MustCompile(`^[\w.](?:[^:]|:\S)*$`)
	oneWord   = regexp.MustCompile(`^[\w.-]+$`)
)

// missingColonAbove finds the line that the parser took for the beginning of a
// text which goes on at line, although both were meant as keys.
func (f *finder) missingColonAbove(line int) (int, bool) {
	above := f.above(line)
	if above < 0 || strings.HasPrefix(f.line(line)[f.indent(line):], "- ") {
		return 0, false
	}
	columns := f.blockColumns(above)
	at := columns[len(columns)-1]
	text, _, _ := strings.Cut(f.line(above)[at:], " #")
	text = strings.TrimRight(text, " \t")
	deeper := f.indent(line) > at && oneWord.MatchString(text)
	return above, colonless.MatchString(text) && (deeper || f.indent(line) == at)
}

func (f *finder) unknownAnchor(name string) *finding {
	line := f.stopped
	for line > 0 && !strings.Contains(f.line(line), "*"+name) {
		line--
	}
	column := max(0, strings.LastIndex(f.line(line), "*"+name))
	at := f.starts[line] + column
	if strings.HasSuffix(strings.TrimRight(f.line(line)[:column], " \t["), "<<:") {
		return syntaxAt(at, "there is no anchor &"+name+" above this line",
			"put &"+name+" in front of the map that it stands for")
	}
	return eatenAt(at, starts['*']+", and there is none of this name before it")
}

// indentation is the last guess: what stands on the line is fine, so where it
// stands is not.
func (f *finder) indentation(line int) *finding {
	indent := f.indent(line)
	at, above := f.starts[line]+indent, f.above(line)
	if found := f.tabComment(line); found != nil {
		return found
	}
	if open := f.openIndents(line); !slices.Contains(open, indent) {
		found := syntaxAt(at, "the line is indented by "+diag.Count(indent, "space")+", which fits no line above",
			"indent it like the other keys of the same map")
		if len(open) == 1 && open[0] == 0 {
			found.hint = "the lines above that it could belong to are not indented"
		} else if len(open) > 0 {
			found.hint = "the lines above that it could belong to are indented by " + spaces(open)
		}
		if above >= 0 {
			found.other, found.why = f.starts[above]+f.indent(above),
				"this line has a value already, so that nothing can stand below it"
			if f.indent(above) > indent {
				found.why = "the line above is indented by " + diag.Count(f.indent(above), "space")
			}
		}
		return found
	}
	text := f.line(line)[indent:]
	isItem := strings.HasPrefix(text, "- ") || text == "-"
	switch {
	case isItem && above >= 0 && noDash.MatchString(f.line(above)[f.indent(above):]):
		return missingColon(f.line(above)[f.indent(above):], f.starts[above]+f.indent(above))
	case isItem:
		return syntaxAt(at, "a list item stands where a key is expected",
			"indent it below the key that the list belongs to")
	case strings.Contains(f.reason, "did not find expected '-' indicator"):
		return syntaxAt(at, keyForItem, dashOrBelow)
	}
	return syntaxAt(at, "this is not valid YAML: "+f.reason, "")
}

// conflict finds what a version control system leaves where it can't merge.
func (f *finder) conflict() *finding {
	at := conflictMark.FindIndex(f.text)
	if at == nil {
		return nil
	}
	return syntaxAt(at[0], "the mark of a merge conflict stands here",
		"keep one of the two versions, and remove the lines with <<<<<<<, ======= and >>>>>>>")
}

var conflictMark = regexp.MustCompile(`(?m)^(?:<{7} |>{7} |={7}\r?$)`)

// above is the line before one that is not blank, -1 for none.
func (f *finder) above(line int) int {
	for line--; line >= 0 && f.blank(line); line-- {
	}
	return line
}

// tabComment finds a comment nearby that a tab indents, which the parser minds.
func (f *finder) tabComment(line int) *finding {
	for i := max(0, line-1); i < len(f.starts) && i <= f.stopped+1; i++ {
		before, _, ok := strings.Cut(f.line(i), "#")
		if tab := strings.IndexByte(before, '\t'); ok && tab >= 0 && f.blank(i) {
			return syntaxAt(f.starts[i]+tab, tabIndents, "use spaces")
		}
	}
	return nil
}

// openIndents are the indentations of the blocks that a line could continue.
func (f *finder) openIndents(line int) []int {
	var open []int
	limit := int(^uint(0) >> 1)
	for i := line - 1; i >= 0 && limit > 0; i-- {
		if f.blank(i) {
			continue
		}
		columns := f.blockColumns(i)
		for j := len(columns) - 1; j >= 0; j-- {
			if columns[j] < limit {
				limit = columns[j]
				open = append([]int{limit}, open...)
			}
		}
	}
	return open
}

// blockColumns are where the line opens blocks: `- - key:` opens three.
func (f *finder) blockColumns(line int) []int {
	text := f.line(line)
	at := f.indent(line)
	columns := []int{at}
	for strings.HasPrefix(text[at:], "- ") {
		at += 2
		for at < len(text) && text[at] == ' ' {
			at++
		}
		columns = append(columns, at)
	}
	return columns
}

func (f *finder) lineAt(offset int) int {
	line := 0
	for line+1 < len(f.starts) && f.starts[line+1] <= offset {
		line++
	}
	return line
}

// line is a line's text without its break.
func (f *finder) line(i int) string {
	end := len(f.text)
	if i+1 < len(f.starts) {
		end = f.starts[i+1]
	}
	return string(bytes.TrimRight(f.text[f.starts[i]:end], "\r\n"))
}

func (f *finder) indent(i int) int {
	text := f.line(i)
	return len(text) - len(strings.TrimLeft(text, " "))
}

// blank tells whether a line has nothing but white space or a comment.
func (f *finder) blank(i int) bool {
	text := strings.TrimLeft(f.line(i), " \t")
	return text == "" || text[0] == '#'
}

// spaces are indentations as a sentence has them: 2, 4 or 6 spaces.
func spaces(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	words[len(words)-1] = diag.Count(list[len(list)-1], "space")
	return diag.Or(words)
}
