package expression

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// habit is what people write as other languages have it.
type habit struct {
	// at matches a source in which ¦ stands in front of the token that the parser
	// stumbled over. Its group at is what is wrong, else the token; its group put is
	// what the mend takes the place of, else what is wrong.
	at *regexp.Regexp
	// message is that of the finding, "" says that what is wrong is unexpected.
	message string
	// hint and with, the mend, may have the text of groups in them.
	hint, with string
}

// token marks where the parser stumbled.
const token = "¦"

// sign matches a sign that the token is a part of.
func sign(text string) *regexp.Regexp {
	var ways []string
	for i := range text {
		ways = append(ways, regexp.QuoteMeta(text[:i])+token+regexp.QuoteMeta(text[i:]))
	}
	return regexp.MustCompile("(?P<at>" + strings.Join(ways, "|") + ")")
}

// word matches a token that is one of some words, whatever its letters.
func word(words string) *regexp.Regexp {
	return regexp.MustCompile("(?i)" + token + "(?P<at>" + words + `)\b`)
}

const (
	noName = "a predicate has no name for the element: it is #, and its fields .name, as in any(payload.items, " +
		".price > 3)"
	noField     = "a field is read with a dot"
	noChange    = "an expression changes nothing: it only computes a value"
	matched     = "text is matched by: matches"
	unequal     = "unequal is written !="
	twoSigns    = "== and != have two characters here"
	compareBy   = "compare with =="
	small       = "operators are written in small letters: "
	searched    = `text is searched by contains, startsWith, endsWith, or by matches "regular expression"`
	partOf      = "text has a part: contains; a list has an element: element in list"
	inBrackets  = `a list is written in [ ]: in ["a", "b"]`
	allElements = "all elements are reached by any(list, .price > 3), map(list, .price) and the like"
)

// habits are looked for in their order: the first that is found counts.
var habits = []habit{
	{at: regexp.MustCompile(`[(,]\s*(?:[A-Za-z_]\w*|\([\w\s,]*\))\s*¦(?P<at>=>)`), hint: noName},
	{at: sign("=>"), hint: "at least is written >=", with: ">="},
	{at: sign("=<"), hint: "at most is written <=", with: "<="},
	{at: sign("=~"), hint: matched, with: "matches"},
	{at: sign("~="), hint: matched, with: "matches"},
	{at: sign("~"), hint: matched, with: "matches"},
	{at: sign("<>"), hint: unequal, with: "!="},
	{at: sign("::"), hint: noField, with: "."},
	{at: regexp.MustCompile(` (?P<at>-¦>|¦->)`), hint: noName},
	{at: sign("->"), hint: noField, with: "."},
	{at: sign("==="), hint: twoSigns, with: "=="},
	{at: sign("!=="), hint: twoSigns, with: "!="},
	{at: sign("+="), hint: noChange},
	{at: sign("-="), hint: noChange},
	{at: sign(":="), hint: noChange},
	{at: regexp.MustCompile(`¦(?P<at>=)(?:[^=]|$)`), hint: compareBy, with: "=="},
	{at: regexp.MustCompile(`(?P<put>(?P<path>[A-Za-z_#][\w.\[\]]*)\.\s*¦?(?P<at>'(?P<a>[^'\\¦]*)¦?'|` +
		`"(?P<b>[^"\\¦]*)¦?"))\s*(?:¦|$)`),
		message: "a name behind a dot has no quotes", hint: `write ${path}["${a}${b}"]`, with: `${path}["${a}${b}"]`},
	{at: word(`is\s+not\s+(?:null|none|nil|undefined|empty)`), hint: "null is nil here: != nil", with: "!= nil"},
	{at: word(`is\s+(?:null|none|nil|undefined|empty)`), hint: "null is nil here: == nil", with: "== nil"},
	{at: regexp.MustCompile(`¦(?P<at>AND|And)\b`), hint: small + "and", with: "and"},
	{at: regexp.MustCompile(`¦(?P<at>OR|Or)\b`), hint: small + "or", with: "or"},
	{at: regexp.MustCompile(`¦(?P<at>NOT|Not)\b`), hint: small + "not", with: "not"},
	{at: regexp.MustCompile(`¦(?P<at>IN|In)\b`), hint: small + "in", with: "in"},
	{at: word("is|eq|equals"), hint: compareBy, with: "=="},
	{at: word("ne"), hint: unequal, with: "!="},
	{at: word("i?like|regexp|rlike"), hint: searched},
	{at: word("between"), hint: "write both ends: 1 <= payload.n <= 5"},
	{at: word("then"), hint: `one of two is: condition ? "this" : "that"`},
	{at: word("startswith"), hint: "it is written startsWith", with: "startsWith"},
	{at: word("endswith"), hint: "it is written endsWith", with: "endsWith"},
	{at: word("includes|has"), hint: partOf, with: "contains"},
	{at: regexp.MustCompile(`¦(?P<at>[&|])(?:[^&|]|$)`), hint: "write ${at}${at}", with: "${at}${at}"},
	{at: regexp.MustCompile(`(?:^|[^|])(?P<at>\|)\s*[A-Za-z_]\w*\s*¦(?:\.|==|&&|\|\||$)`), hint: "or is written ||", with: "||"},
	{at: regexp.MustCompile(`\d¦(?P<at>,)\d{3}`), hint: "a number is written without separators"},
	{at: regexp.MustCompile(`^[^:?]*(?P<at>\?)(?:[^:?.][^:?]*)?¦$`), message: "? has no : that says what else",
		hint: `write all three: a ? "b" : "c"`},
	{at: regexp.MustCompile(`,\s*(?P<at>\{)\s*["']?\w+["']?\s*¦:`),
		message: "{ } around a predicate are not those of an object",
		hint:    "put the object in round brackets: ({name: .name})"},
	{at: regexp.MustCompile(`(?i:\bin)\s*(?P<put>(?P<at>[({])(?P<items>[^(){}\[\]]*¦,[^(){}\[\]]*)[)}])`), hint: inBrackets,
		with: "[${items}]"},
	{at: regexp.MustCompile(`(?i:\bin)\s*(?P<at>[({])[^(){}\[\]]*¦,`), hint: inBrackets},
	{at: regexp.MustCompile(`\.(?P<at>\*)\s*¦|\[\s*¦[*\]]`), hint: allElements},
	{at: regexp.MustCompile(`\.(?P<name>any|all|none|one|map|filter|find|count|sum|some|every|reduce)\(\s*¦[^)]`),
		hint: "${name} is a function, and the list its first argument: any(payload.items, .price > 3)"},
	{at: regexp.MustCompile(`^\s*¦(?P<field>\.\S*)`), hint: "begin with what the field belongs to: payload${field}"},
	{at: regexp.MustCompile(`¦[)\]}]`), hint: "there is no bracket that it closes, or something is missing before it"},
	{at: regexp.MustCompile(`["']¦["'\pL_$]`),
		hint: "the quote before it ends the text: write text with ' in \"…\", and text with \" in '…'"},
	{at: regexp.MustCompile(`["']\s+¦["']`),
		hint: "something is missing between the two texts: a comma, or + to join them"},
	{at: regexp.MustCompile(`(?:^|[^.\w])(?P<name>` + strings.Join(slices.Sorted(maps.Keys(builtins)), "|") + "|" +
		strings.Join(slices.Sorted(maps.Keys(predicateNames)), "|") + `)\s+¦["'A-Za-z_$]`),
		hint: "a function is called with brackets: ${name}(…)"},
	{at: regexp.MustCompile(`(?i:\btypeof)\s+¦["'A-Za-z_$]`), hint: "the type of a value is type(…)"},
	{at: regexp.MustCompile(`\S\s*¦(?:` + strings.Join(recordNames, "|") + `|not|env)\b`), hint: "join two conditions by && or ||"},
	{at: regexp.MustCompile(`(?:^|[^.\w])(?:` + strings.Join(recordNames, "|") + `|true|false|nil)\s+¦[A-Za-z_$]`),
		hint: "something is missing between the two: a dot, or an operator"},
	{at: regexp.MustCompile(`(?:^|[^.\w])(?P<first>[A-Za-z_]\w*)\s+¦(?P<second>[A-Za-z_$][\w$]*)`),
		hint: `text needs quotes: "${first} ${second}"`},
	{at: regexp.MustCompile(`^\s*[\w.+-]+\s*¦:.*\$\{`), hint: joinText},
	{at: regexp.MustCompile(`^\s*(?P<text>[\w.+-]+\s*¦:[^"]*?)\s*$`), hint: `text needs quotes: "${text}"`},
}
