package expression

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// replacing is replaceAll(text, regexp, with) with its pattern read once.
func (c *compilation) replacing(op *operation, args []term) (builtin, bool) {
	b := builtins[op.name]
	text, ok := args[1].value.(string)
	if !args[1].constant || !ok {
		c.find(args[1].original, CodeNotConstant, "the pattern of replaceAll must be constant text", "")
		return b, false
	}
	re, err := regexp.Compile(text)
	if err != nil {
		c.badPattern(args[1].original, text, err)
		return b, false
	}
	with, constant := args[2].value.(string)
	constant = constant && args[2].constant
	if constant {
		c.checkReferences(args[2].original, re, with)
	} else {
		c.lostReferences(args[2].original)
	}
	r := newReplacement(re, text, constant && strings.Contains(with, "$"))
	b.fn = r.replace
	return b, !c.failed()
}

// reference is what a replacement puts in of a match. $$ is the sign itself.
var reference = regexp.MustCompile(`\$(?:\$|\{([\pL\p{Nd}_]+)\}|([\pL\p{Nd}_]+))`)

// checkReferences finds a reference to a group that the pattern does not have: it
// would always be empty.
func (c *compilation) checkReferences(n ast.Node, re *regexp.Regexp, with string) {
	for _, m := range reference.FindAllStringSubmatchIndex(with, -1) {
		from, to := m[2], m[3]
		if from < 0 {
			from, to = m[4], m[5]
		}
		if from < 0 || hasGroup(re, with[from:to]) {
			continue
		}
		miss := patternMiss{at: m[0], size: m[1] - m[0], why: "the pattern has no group " + with[from:to]}
		if digits := strings.TrimRightFunc(with[from:to],
			func(r rune) bool { return !unicode.IsDigit(r) }); digits != "" && hasGroup(re, digits) {
			miss.hint = "write ${" + digits + "}" + with[from+len(digits):to]
		}
		c.findWithin(n, with, miss, CodePattern, "this is put in nowhere")
		return
	}
}

func hasGroup(re *regexp.Regexp, name string) bool {
	if n, err := strconv.Atoi(name); err == nil {
		return n <= re.NumSubexp()
	}
	return re.SubexpIndex(name) >= 0
}

// lostReferences finds a reference in text that is joined with a record's: what
// comes of a record is put in as it is, so that its own $ is not taken for one.
func (c *compilation) lostReferences(n ast.Node) {
	if s, ok := n.(*ast.StringNode); ok && reference.MatchString(s.Value) && !c.failed() {
		c.find(n, CodeNotConstant, "groups such as $1 can be put in by constant text alone",
			"join the parts of two replaceAll(…) instead")
	}
	for _, kid := range children(n) {
		c.lostReferences(kid)
	}
}

// replacement is a pattern of replaceAll, and how far a search may look.
type replacement struct {
	re   *regexp.Regexp
	size int
	// expands tells that what is put in refers to what was matched.
	expands bool
	// loops are the bytes that the pattern can take any number of times, once how
	// many others it can take beside.
	loops [256]bool
	once  int
}

func newReplacement(re *regexp.Regexp, text string, expands bool) *replacement {
	r := &replacement{re: re, size: programSize(text), expands: expands}
	if parsed, err := syntax.Parse(text, syntax.Perl); err == nil {
		r.once = r.takes(parsed, false)
	}
	return r
}

// takes counts the characters that a part of the pattern takes at most, those in
// loops aside, which it notes.
func (r *replacement) takes(p *syntax.Regexp, looped bool) (most int) {
	switch p.Op {
	case syntax.OpStar, syntax.OpPlus:
		looped = true
	case syntax.OpRepeat:
		looped = looped || p.Max < 0
	case syntax.OpLiteral:
		for _, c := range p.Rune {
			r.loop(looped, c, c)
			for folded := unicode.SimpleFold(c); p.Flags&syntax.FoldCase != 0 &&
				folded != c; folded = unicode.SimpleFold(folded) {
				r.loop(looped, folded, folded)
			}
		}
		most = len(p.Rune)
	case syntax.OpCharClass:
		for i := 0; i+1 < len(p.Rune); i += 2 {
			r.loop(looped, p.Rune[i], p.Rune[i+1])
		}
		most = 1
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		r.loop(looped, 0, unicode.MaxRune)
		most = 1
	}
	for _, sub := range p.Sub {
		n := r.takes(sub, looped)
		if p.Op == syntax.OpAlternate {
			most = max(most, n)
		} else {
			most += n
		}
	}
	switch {
	case looped:
		return 0
	case p.Op == syntax.OpRepeat:
		return most * p.Max
	}
	return most
}

// loop notes characters, those beyond ASCII all together.
func (r *replacement) loop(looped bool, from, to rune) {
	for c := from; looped && c <= to && c < 0x80; c++ {
		r.loops[c] = true
	}
	for c := 0x80; looped && to >= 0x80 && c < len(r.loops); c++ {
		r.loops[c] = true
	}
}

// ahead is how far beyond a match the search for it may have looked: what it tried
// before took loops, and once as many characters beside them.
func (r *replacement) ahead(text []byte) int {
	left := r.once
	for i, c := range text {
		if r.loops[c] || !utf8.RuneStart(c) {
			continue
		}
		if left--; left < 0 {
			return i
		}
	}
	return len(text)
}

// backtracked is how many bits of what was tried the regular expressions of Go
// keep, and clear for each search.
const backtracked = 256 << 10

// replace charges each search as it goes. A pattern such as .*x|a looks through the
// rest of the text for each match.
func (r *replacement) replace(in *input, op *operation, args []any) any {
	s, with := op.characters(0, args), op.text(2, args)
	each := stepsOfMatch + stepsOfValue
	if bits := (len(s) + 1) * r.size; bits <= backtracked {
		each += bits / 512
	}
	before, matches, size := in.steps, 0, len(s)
	in.step(stepsOfMatch + (len(s)+1)*r.size*stepsOfInstructions/2)
	in.made(2 * len(s))
	text := []byte(s)
	out := r.re.ReplaceAllFunc(text, func(match []byte) []byte {
		matches++
		end := cap(text) - cap(match) + len(match)
		in.step(each + r.ahead(text[end:])*r.size*stepsOfInstructions/2)
		if r.expands {
			return nil
		}
		size += len(with) - len(match)
		in.room(size)
		return []byte(with)
	})
	if r.expands {
		// Once more, since only now it is known to be bearable.
		in.step(int(in.steps - before))
		out = r.expand(in, s, with, matches)
	}
	in.made(len(out))
	return string(out)
}

func (r *replacement) expand(in *input, s, with string, matches int) []byte {
	in.made(matches * (bytesOfItem + 16*(1+r.re.NumSubexp())))
	in.step(matches * (stepsOfCall + stepsOfValue*len(with)))
	references := strings.Count(with, "$")
	var out []byte
	last := 0
	for _, m := range r.re.FindAllStringSubmatchIndex(s, -1) {
		out = append(out, s[last:m[0]]...)
		in.room(len(out) + len(with) + references*(m[1]-m[0]))
		out = r.re.ExpandString(out, with, s, m)
		last = m[1]
	}
	in.room(len(out) + len(s) - last)
	return append(out, s[last:]...)
}
