package expression

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// signature is what a function takes and makes.
type signature struct {
	// takes are the kinds of each argument; the last counts for all that follow.
	takes []kinds
	// items are the kinds of the elements of a list in the first argument; 0 for
	// any.
	items kinds
	is    func(args []Type) Type
}

// makes is a result of one type whatever the arguments.
func makes(k kinds) func([]Type) Type { return func([]Type) Type { return Type{kinds: k} } }

func number(low float64) func([]Type) Type {
	return func([]Type) Type { return Type{kinds: isNumber}.Range(&Limit{At: low}, nil) }
}

// same is a list of the first argument's elements.
func same(args []Type) Type { return listOfType(args[0].item(-1)) }

func itemOrNull(args []Type) Type { return args[0].item(-1).Union(Type{kinds: isNull}) }

// texts is a list of text.
func texts([]Type) Type { return listOfType(Type{kinds: isText}) }

// signatures are those of all functions but the predicate ones.
var signatures = mergeSignatures(textSignatures, digestSignatures, listSignatures, numberSignatures, timeSignatures)

func mergeSignatures(tables ...map[string]signature) map[string]signature {
	all := map[string]signature{}
	for _, t := range tables {
		for name, s := range t {
			all[name] = s
		}
	}
	return all
}

var textSignatures = map[string]signature{
	"trim":        {takes: []kinds{isText}, is: makes(isText)},
	"trimPrefix":  {takes: []kinds{isText}, is: makes(isText)},
	"trimSuffix":  {takes: []kinds{isText}, is: makes(isText)},
	"upper":       {takes: []kinds{isText}, is: makes(isText)},
	"lower":       {takes: []kinds{isText}, is: makes(isText)},
	"split":       {takes: []kinds{isText, isText, isNumber}, is: texts},
	"splitAfter":  {takes: []kinds{isText, isText, isNumber}, is: texts},
	"replace":     {takes: []kinds{isText, isText, isText, isNumber}, is: makes(isText)},
	"replaceAll":  {takes: []kinds{isText}, is: makes(isText)},
	"format":      {takes: []kinds{isText, isAny}, is: makes(isText)},
	"join":        {takes: []kinds{isList, isText}, items: isText, is: makes(isText)},
	"indexOf":     {takes: []kinds{isText}, is: number(-1)},
	"lastIndexOf": {takes: []kinds{isText}, is: number(-1)},
	"hasPrefix":   {takes: []kinds{isText}, is: makes(isBool)},
	"hasSuffix":   {takes: []kinds{isText}, is: makes(isBool)},
	"string":      {takes: []kinds{isAny &^ isZone}, is: makes(isText)},
	"toJSON":      {takes: []kinds{isAny &^ isZone}, is: makes(isText)},
	"fromJSON":    {takes: []kinds{isText}, is: func([]Type) Type { return JSONType() }},
	"toBase64":    {takes: []kinds{isText}, is: makes(isText)},
	"fromBase64":  {takes: []kinds{isText}, is: makes(isText)},
}

var digestSignatures = map[string]signature{
	"sha256":    {takes: []kinds{isText}, is: makes(isText)},
	"sha1":      {takes: []kinds{isText}, is: makes(isText)},
	"md5":       {takes: []kinds{isText}, is: makes(isText)},
	"hmac":      {takes: []kinds{isText}, is: makes(isText)},
	"crc32":     {takes: []kinds{isText}, is: number(0)},
	"uuid5":     {takes: []kinds{isText}, is: makes(isText)},
	"bucket":    {takes: []kinds{isText, isNumber}, is: bucketType},
	"urlEncode": {takes: []kinds{isText}, is: makes(isText)},
	"urlDecode": {takes: []kinds{isText}, is: makes(isText)},
}

var listSignatures = map[string]signature{
	"first":     {takes: []kinds{isList}, is: itemOrNull},
	"last":      {takes: []kinds{isList}, is: itemOrNull},
	"get":       {takes: []kinds{isList | isObject, isNumber | isText}, is: gotten},
	"take":      {takes: []kinds{isList, isNumber}, is: same},
	"keys":      {takes: []kinds{isObject}, is: texts},
	"values":    {takes: []kinds{isObject}, is: func(a []Type) Type { return listOfType(a[0].anyField()) }},
	"toPairs":   {takes: []kinds{isObject}, is: pairsOf},
	"fromPairs": {takes: []kinds{isList}, items: isList, is: func([]Type) Type { return mapType(AnyType()) }},
	"reverse":   {takes: []kinds{isList}, is: same},
	"uniq":      {takes: []kinds{isList}, is: same},
	"concat":    {takes: []kinds{isList}, is: joined},
	"flatten":   {takes: []kinds{isList}, is: flattened},
	"sort":      {takes: []kinds{isList, isText}, items: isNumber | isText | isTime | isDuration, is: same},
}

var numberSignatures = map[string]signature{
	"int":   {takes: []kinds{isNumber | isText}, is: makes(isNumber)},
	"float": {takes: []kinds{isNumber | isText}, is: makes(isNumber)},
	"abs": {takes: []kinds{isNumber | isDuration},
		is: func(a []Type) Type { return Type{kinds: a[0].kinds & (isNumber | isDuration)} }},
	"ceil":    {takes: []kinds{isNumber}, is: makes(isNumber)},
	"floor":   {takes: []kinds{isNumber}, is: makes(isNumber)},
	"round":   {takes: []kinds{isNumber}, is: makes(isNumber)},
	"max":     {takes: []kinds{isNumber | isList}, items: isNumber | isList, is: extremeType},
	"min":     {takes: []kinds{isNumber | isList}, items: isNumber | isList, is: extremeType},
	"mean":    {takes: []kinds{isNumber | isList}, items: isNumber | isList, is: makes(isNumber)},
	"median":  {takes: []kinds{isNumber | isList}, items: isNumber | isList, is: makes(isNumber)},
	"len":     {takes: []kinds{isText | isList | isObject}, is: number(0)},
	"type":    {takes: []kinds{isAny}, is: typeNames},
	"bitand":  {takes: []kinds{isNumber}, is: makes(isNumber)},
	"bitor":   {takes: []kinds{isNumber}, is: makes(isNumber)},
	"bitxor":  {takes: []kinds{isNumber}, is: makes(isNumber)},
	"bitnand": {takes: []kinds{isNumber}, is: makes(isNumber)},
	"bitshl":  {takes: []kinds{isNumber}, is: makes(isNumber)},
	"bitshr":  {takes: []kinds{isNumber}, is: makes(isNumber)},
	"bitushr": {takes: []kinds{isNumber}, is: makes(isNumber)},
	"bitnot":  {takes: []kinds{isNumber}, is: makes(isNumber)},
}

var timeSignatures = map[string]signature{
	"date":     {takes: []kinds{isText | isZone, isText}, is: makes(isTime)},
	"duration": {takes: []kinds{isText}, is: makes(isDuration)},
	"timezone": {takes: []kinds{isText}, is: makes(isZone)},
}

func gotten(a []Type) Type {
	return a[0].anyField().Union(a[0].item(-1)).Union(Type{kinds: isNull})
}

// bucketType is a number below that of the buckets, where it is constant.
func bucketType(a []Type) Type {
	t := number(0)(a)
	if len(a[1].numbers) == 1 {
		t = t.Range(nil, &Limit{At: a[1].numbers[0].float(), Open: true})
	}
	return t
}

func pairsOf(a []Type) Type {
	return listOfType(tupleType([]Type{{kinds: isText}, a[0].anyField()}))
}

func joined(a []Type) Type {
	var all Type
	for _, t := range a {
		all = all.Union(t.item(-1))
	}
	return listOfType(all)
}

func flattened(a []Type) Type {
	items := a[0].item(-1)
	if items.kinds&isList != 0 {
		items = without(items, isList).Union(without(AnyType(), isList))
	}
	return listOfType(items)
}

func extremeType(a []Type) Type {
	for _, t := range a {
		if t.kinds&isList == 0 {
			return Type{kinds: isNumber}
		}
	}
	return Type{kinds: isNumber | isNull}
}

func typeNames([]Type) Type {
	return Type{kinds: isText, texts: []string{"string", "int", "float", "bool", "array", "map", "nil", "time",
		"duration", "timezone"}}
}

// functionType checks a call and tells what it makes.
func (k *checker) functionType(name string, nodes []ast.Node) Type {
	s, ok := signatures[name]
	if !ok {
		return AnyType()
	}
	args := make([]Type, len(nodes))
	for i, n := range nodes {
		args[i] = k.of(n)
		want, by := s.takes[min(i, len(s.takes)-1)], name
		if i > 0 && name == "format" {
			if v, ok := verbAt(args[0], i-1); ok {
				want, by = verbs[v.letter], v.String()+" of format"
			}
		}
		if !k.accepts(n, args[i], want, by+" needs "+Type{kinds: want}.String()) {
			return AnyType()
		}
	}
	if s.items != 0 {
		for i := range nodes[:min(len(nodes), 1)] {
			items := args[i].item(-1)
			if args[i].solid() == isList && items.solid() != 0 && items.kinds&s.items == 0 {
				k.report(nodes[i], CodeType, fmt.Sprintf("an element of %s is %s: %s needs %s", k.text(nodes[i]), items,
					name, Type{kinds: s.items &^ isList}),
					k.itemHint(nodes[i], items, s.items))
				return AnyType()
			}
		}
	}
	return s.is(args)
}

// itemHint says how a list of other elements is made.
func (k *checker) itemHint(n ast.Node, items Type, want kinds) string {
	text := k.text(n)
	switch {
	case items.solid() == isObject:
		for _, name := range items.fieldNames() {
			if f, _ := items.field(name); f.kinds&want != 0 {
				return fmt.Sprintf("take a field of each: map(%s, .%s)", text, name)
			}
		}
		return fmt.Sprintf("take a field of each: map(%s, .name)", text)
	case want == isText:
		return fmt.Sprintf("make each one text: map(%s, string(#))", text)
	default:
		return ""
	}
}

// callType is a function that expr does not know itself, or a method.
func (k *checker) callType(n *ast.CallNode) Type {
	callee := n.Callee
	if chain, ok := callee.(*ast.ChainNode); ok {
		callee = chain.Node
	}
	switch callee := callee.(type) {
	case *ast.IdentifierNode:
		if callee.Value == "file" {
			return AnyType()
		}
		return k.functionType(callee.Value, n.Arguments)
	case *ast.MemberNode:
		if name, ok := callee.Property.(*ast.StringNode); ok {
			return k.methodType(n, callee, name.Value)
		}
	}
	return AnyType()
}
