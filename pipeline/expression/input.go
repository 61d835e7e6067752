package expression

import (
	"fmt"
	"math"

	"github.com/expr-lang/expr/vm"

	"github.com/millrace/millrace/handlers"
)

// NewInput makes an Input to load records of this scope into.
func (s *Scope) NewInput() *Input {
	in := &Input{input{format: s.options.Format, paths: s.paths, slots: make([]slot, len(s.paths.paths)),
		own: accountOf(s.options.Limits)}}
	in.account = &in.own
	in.vm.MemoryBudget = math.MaxInt // what is made is charged
	if s.parent == nil {
		in.original = &in.input
	}
	return in
}

// Input is one record as expressions see it. It is reused from record to
// record, and belongs to one goroutine.
type Input struct{ input }

type input struct {
	format Format
	paths  *trie
	rec    *handlers.Record
	// broken is why the payload cannot be read.
	broken     error
	slots      []slot
	extraction extraction
	// headers are all headers as an object, made when first asked for.
	headers  map[string]any
	original *input
	vm       vm.VM
	// account is that of the record: its own, or the original's.
	*account
	own account
	// held are first arguments of calls whose second ones are at hand.
	held   []any
	buffer []byte
	// outline and fields are kept from one value to the next.
	outline []container
	fields  []field
}

// Load takes rec, which must not change until the next Load. An error says why
// its value can't be read in the scope's format; the Input then offers all but
// the payload.
func (in *Input) Load(rec *handlers.Record) error {
	in.rec, in.broken, in.headers = rec, nil, nil
	if in.account == &in.own {
		in.steps, in.bytes, in.limits = 0, 0, in.base.For(len(rec.Value))
	}
	if in.format != FormatJSON {
		return nil
	}
	if rec.Value == nil {
		clear(in.slots)
		return nil
	}
	if in.broken = checkJSON(rec.Value); in.broken != nil {
		clear(in.slots)
		return in.broken
	}
	if len(in.slots) > 0 {
		in.paths.extract(rec.Value, in.slots, &in.extraction)
	}
	return nil
}

// Follow makes `source` reach original, at the cost of whose record this one is
// evaluated too. It is kept over Loads.
func (in *Input) Follow(original *Input) {
	in.original, in.account = nil, &in.own
	if original != nil {
		in.original, in.account = &original.input, original.account
	}
}

// slot is the slot of a path, once it is known that its value can be read.
func (in *input) slot(id int) *slot {
	if in.broken != nil {
		panic(&failure{text: in.broken.Error()})
	}
	if id >= len(in.slots) {
		failf("the expression was compiled after the input was made")
	}
	s := &in.slots[id]
	if s.broken != kindAny {
		in.refuse(id, s)
	}
	return s
}

func (in *input) refuse(id int, s *slot) {
	path := in.paths.paths[id]
	missing := path[s.depth]
	here := pathText("payload", path[:s.depth])
	if missing.index >= 0 {
		failf("%s is %s: it has no items", here, s.broken)
	}
	failf("%s is %s: it has no field %s", here, s.broken, missing.name)
}

// value is the decoded value of a path. It is made once a record.
func (in *input) value(id int) any {
	s := in.slot(id)
	if !s.decoded {
		s.value = nil
		if s.raw != nil {
			s.value = in.decode(s.raw)
		}
		s.decoded = true // not before: decoding may cost too much
	}
	if s.value == (half{}) {
		in.halved(id)
	}
	return s.value
}

func (in *input) halved(id int) {
	failf("%s is %s", pathText("payload", in.paths.paths[id]), halfText)
}

// scalar is the value of a path without decoding lists and objects.
func (in *input) scalar(id int) scalar {
	s := in.slot(id)
	if s.raw == nil {
		return scalar{kind: kindNull}
	}
	v := in.scalarAt(s.raw)
	if v.kind == kindHalf {
		in.halved(id)
	}
	return v
}

// header is the value of the last header of that name, nil where it is missing
// or null.
func (in *input) header(name string) []byte {
	in.step(len(in.rec.Headers))
	v, _ := in.rec.Header(name)
	return v
}

// allHeaders is every header's name and last value.
func (in *input) allHeaders() map[string]any {
	if in.headers == nil {
		in.step(stepsOfEntry * len(in.rec.Headers))
		in.made(bytesOfEntry * len(in.rec.Headers))
		headers := make(map[string]any, len(in.rec.Headers))
		for _, h := range in.rec.Headers {
			in.step(len(h.Key) / scannedAStep)
			headers[h.Key] = in.textOrNull(h.Value)
		}
		in.headers = headers
	}
	return in.headers
}

func (in *input) textOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	in.made(len(b))
	return string(b)
}

func viewOrNull(b []byte) scalar {
	if b == nil {
		return scalar{kind: kindNull}
	}
	return scalar{kind: kindText, s: view(b)}
}

// run evaluates an expression's program.
func (in *input) run(e *expression) (any, error) {
	if err := in.spend(e.weight); err != nil {
		return nil, err
	}
	clear(in.held)
	in.held = in.held[:0]
	v, err := in.vm.Run(e.program, in)
	if err != nil {
		return nil, readable(err)
	}
	return v, nil
}

// hold keeps v until release, and returns the Input.
func (in *input) hold(v any) any {
	in.held = append(in.held, v)
	return in
}

func (in *input) release() any {
	last := len(in.held) - 1
	v := in.held[last]
	in.held[last] = nil
	in.held = in.held[:last]
	return v
}

// protect runs what may fail where no VM catches it.
func protect[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(error); ok {
				err = readable(e)
			} else {
				err = readable(fmt.Errorf("%v", r))
			}
		}
	}()
	return f()
}
