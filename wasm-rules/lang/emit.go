// SPDX-License-Identifier: Apache-2.0

package lang

// An emitter writes one function. Conditions become jumps: "go on if it is true,
// else to a label" and "go on if it is false, else to a label". What is neither
// true nor false goes to the label in both, so three-valued logic costs nothing,
// and ! only changes which of the two is meant.
type emitter struct {
	code
	m       *module
	params  int
	locals  []byte         // types of the function's own locals
	free    map[byte][]int // locals that may be used again, by type
	pinned  map[pin]int    // locals that hold what does not change
	labels  []factSet      // what was known where each open block began
	known   factSet
	blocks  int   // so far
	deepest int   // blocks in each other
	at      int   // local: the element's address in the loop around
	telling *node // what a function that tells a shared condition is about
	// from and fromBlock are where the code of the rule that is written begins.
	from, fromBlock int
}

// full reports whether a rule or shared condition has become so large that it will
// be refused. No more is written of it then, since what stands in many places
// could go on for very long.
func (e *emitter) full() bool {
	return len(e.code)-e.from > maxRuleBytes || e.blocks-e.fromBlock > maxRuleBlocks || e.deepest > maxRuleNesting
}

// begin begins another rule in the same function.
func (e *emitter) begin() { e.from, e.fromBlock = len(e.code), e.blocks }

// A label is the number of open blocks with its own: a branch counts from the
// innermost.
type label int

// A factSet says which fields are known to be present, by place in module.reads.
type factSet [(edgeMaxFields + 63) / 64]uint64

func (s *factSet) has(n int) bool { return s[n>>6]&(1<<(n&63)) != 0 }
func (s *factSet) add(n int)      { s[n>>6] |= 1 << (n & 63) }

// A pin is something in memory that does not change between two records.
type pin struct {
	address int
	typ     byte
}

func newEmitter(m *module, params int) *emitter {
	return &emitter{m: m, params: params, free: make(map[byte][]int), pinned: make(map[pin]int)}
}

// local returns a local of a type that nobody uses; release gives it back.
func (e *emitter) local(typ byte) int {
	if list := e.free[typ]; len(list) > 0 {
		e.free[typ] = list[:len(list)-1]
		return list[len(list)-1]
	}
	e.locals = append(e.locals, typ)
	return e.params + len(e.locals) - 1
}

func (e *emitter) release(locals ...int) {
	for _, n := range locals {
		typ := e.locals[n-e.params]
		e.free[typ] = append(e.free[typ], n)
	}
}

// pin pushes what is at an address. The function loads it once, when it begins.
func (e *emitter) pin(address int, typ byte) {
	p := pin{address, typ}
	n, ok := e.pinned[p]
	if !ok {
		e.locals = append(e.locals, typ)
		n = e.params + len(e.locals) - 1
		e.pinned[p] = n
	}
	e.get(n)
}

func (e *emitter) get(n int) { e.on(wasmGet, n) }
func (e *emitter) set(n int) { e.on(wasmSet, n) }
func (e *emitter) tee(n int) { e.on(wasmTee, n) }

// open begins a block or a loop. What is known inside is forgotten at its end,
// which may be reached from anywhere inside.
func (e *emitter) open(op, typ byte) label {
	e.op(op, typ)
	e.labels = append(e.labels, e.known)
	e.blocks++
	e.deepest = max(e.deepest, len(e.labels))
	return label(len(e.labels))
}

func (e *emitter) block() label { return e.open(wasmBlock, typeNone) }

// until opens a block and in it a loop, to go on with top, that is left for behind
// the block once the local at has reached end. Both are to be closed.
func (e *emitter) until(at, end int) (top label) {
	left := e.block()
	top = e.open(wasmLoop, typeNone)
	e.get(at)
	e.get(end)
	e.op(i32GeU)
	e.brIf(left)
	return top
}

func (e *emitter) end() {
	e.op(wasmEnd)
	e.known = e.labels[len(e.labels)-1]
	e.labels = e.labels[:len(e.labels)-1]
}

func (e *emitter) br(l label) { e.on(wasmBr, len(e.labels)-int(l)) }

func (e *emitter) brIf(l label) {
	e.blocks++ // to a compiler, what follows is one
	e.on(wasmBrIf, len(e.labels)-int(l))
}

// load pushes what is at an address that is on the stack, from the record.
func (e *emitter) load(op byte, offset int) {
	align := 3
	switch op {
	case i32Load, i64Load32:
		align = 2
	case i32Load8, i64Load8, i32Load16, i64Load16:
		align = 0
	}
	e.access(op, align, recordAt+offset)
}

// chunk loads text, which has no alignment.
func (e *emitter) chunk(op byte, offset int) { e.access(op, 0, recordAt+offset) }

// slot pushes a field's slot, whether or not the field is present.
func (e *emitter) slot(f *field, op byte) {
	r := e.m.read(f)
	if f.own < 0 {
		e.pin(stateBase, typeI32)
		e.load(op, int(f.number)*8)
		return
	}
	e.pin(e.m.ownAddress(r), typeI32)
	e.load(op, 0)
}

// need goes on if a field is present.
func (e *emitter) need(f *field, l label) {
	r := e.m.read(f)
	if e.known.has(r.place) {
		return
	}
	if f.own < 0 {
		e.pin(statePresence, typeI64)
		e.i64(1 << f.number)
	} else {
		e.pin(stateOwn+r.own>>6<<3, typeI64)
		e.i64(1 << (r.own & 63))
	}
	e.op(i64And, i64Eqz)
	e.brIf(l)
	e.known.add(r.place)
}

// function finishes a function: what it pins is loaded first.
func (e *emitter) function() []byte {
	var head code
	runs := 0
	var groups code
	for i := 0; i < len(e.locals); {
		j := i
		for j < len(e.locals) && e.locals[j] == e.locals[i] {
			j++
		}
		groups.u32(j - i)
		groups.op(e.locals[i])
		runs++
		i = j
	}
	head.u32(runs)
	head.op(groups...)
	for _, p := range sortedPins(e.pinned) {
		head.i32(0)
		if p.typ == typeI32 {
			head.access(i32Load, 2, p.address)
		} else {
			head.access(i64Load, 3, p.address)
		}
		head.on(wasmSet, e.pinned[p])
	}
	head.op(e.code...)
	head.op(wasmEnd)
	return head
}
