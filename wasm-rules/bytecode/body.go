// SPDX-License-Identifier: Apache-2.0

package bytecode

import "strings"

// codeSection checks every function body, as section "Validation algorithm" of
// the WebAssembly specification's appendix does.
func (v *verifier) codeSection() {
	at := v.at
	n := v.u32()
	if !v.budget.use(&v.reader, limitFunctions, uint64(n), at) || v.fits(at, n, "functions") != int(n) {
		return
	}
	if int(n) != v.declared {
		v.fail(at, CodeSection, "the code of %d functions, %d are declared", n, v.declared)
	}
	c := &checker{verifier: v, code: decoder{reader: &v.reader}}
	for i := 0; i < int(n) && v.err == nil; i++ {
		v.function = len(v.Imports) + i
		c.body(&v.functions[i])
		v.bodies++
	}
	v.function = -1
}

// A checker checks one function after the other; its stacks are reused.
type checker struct {
	*verifier
	code   decoder
	locals []byte // types of parameters and locals
	stack  []byte // types of operands
	frames []frame
	blocks int // see Limits.Blocks
	most   int // operands at once
	calls  bool

	branchBytes int // of all br_tables
}

// A frame is a block that is open. The function is the outermost one.
type frame struct {
	op byte
	funcType
	height int  // of the stack where it began
	dead   bool // what follows is never reached, and the stack is whatever it needs
}

// label is what a branch to the frame has to bring.
func (f *frame) label() string {
	if f.op == opLoop {
		return f.params
	}
	return f.results
}

// body checks one function.
func (c *checker) body(f *function) {
	r := &c.reader
	at := r.at
	size := r.u32()
	if !c.budget.use(r, limitBodyBytes, uint64(size), at) || c.fits(at, size, "bytes of a function") != int(size) {
		return
	}
	section := r.end
	r.end = r.at + int(size)
	typ := c.types[f.typ]
	c.locals = append(c.locals[:0], typ.params...)
	c.readLocals()
	f.locals = string(c.locals[len(typ.params):])
	f.at = r.at
	c.stack, c.frames, c.blocks, c.most, c.calls, c.branchBytes = c.stack[:0], c.frames[:0], 1, 0, false, 0
	c.frames = append(c.frames, frame{op: opBlock, funcType: funcType{"", typ.results}})
	for r.err == nil && len(c.frames) > 0 {
		c.instruction(c.code.next())
	}
	if r.at < r.end {
		r.fail(r.at, CodeSection, "%d bytes after the function's end", r.end-r.at)
	}
	f.end, f.operands, f.calls = r.at, c.most, c.calls
	c.complexity += uint64(c.blocks) * uint64(len(c.locals)+8+c.blocks/16)
	c.budget.use(r, limitBlocks, uint64(c.blocks), at)
	c.budget.use(r, limitComplexity, c.complexity, at)
	if r.end = section; r.err != nil {
		r.at = r.end
	}
}

func (c *checker) readLocals() {
	r := &c.reader
	at := r.at
	params := len(c.locals)
	var total uint64
	for range r.fits(at, r.u32(), "groups of locals") {
		at = r.at
		n := r.u32()
		total += uint64(n)
		if !c.budget.use(r, limitLocals, total, at) {
			return
		}
		t := r.byte()
		c.checkType(r.at-1, ValueType(t))
		if r.err != nil {
			return
		}
		for range n {
			c.locals = append(c.locals, t)
		}
	}
	c.budget.use(r, limitLocals, uint64(len(c.locals)-params), at)
}

func (c *checker) refuse(in *instruction, code, format string, args ...any) {
	c.fail(in.at, code, format, args...)
}

func (c *checker) instruction(in instruction) {
	if c.err != nil {
		return
	}
	switch in.op {
	case opNop:
	case opUnreachable:
		c.kill()
	case opBlock, opLoop, opIf:
		c.open(&in)
	case opElse:
		c.otherwise(&in)
	case opEnd:
		c.close(&in)
	case opBr:
		c.popAll(&in, c.label(&in, in.index))
		c.kill()
	case opBrIf:
		c.blocks++
		c.pop(&in, I32)
		label := c.label(&in, in.index)
		c.popAll(&in, label)
		c.pushAll(&in, label)
	case opBrTable:
		c.branchTable(&in)
	case opReturn:
		c.popAll(&in, c.frames[0].results)
		c.kill()
	case opCall, opCallIndirect:
		c.call(&in)
	case opDrop:
		c.pop(&in, anyType)
	case opSelect:
		c.pop(&in, I32)
		c.push(&in, c.pop(&in, c.pop(&in, anyType)))
	case opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet:
		c.variable(&in)
	default:
		if (in.imm == immMemory || in.imm == immPage || in.op == opMore && in.sub >= moreMemoryCopy) && c.memories == 0 {
			c.refuse(&in, CodeIndex, "%s, and the module has no memory", in.name)
		}
		c.popAll(&in, in.params)
		c.pushAll(&in, in.results)
	}
}

func (c *checker) push(in *instruction, t ValueType) {
	c.stack = append(c.stack, byte(t))
	if len(c.stack) > c.most {
		c.most = len(c.stack)
		c.budget.use(&c.reader, limitOperands, uint64(c.most), in.at)
	}
}

func (c *checker) pushAll(in *instruction, types string) {
	for i := range len(types) {
		c.push(in, ValueType(types[i]))
	}
}

// pop takes an operand of a type, or of any. It returns what it is, which after
// a branch that is always taken may not be known.
func (c *checker) pop(in *instruction, want ValueType) ValueType {
	f := &c.frames[len(c.frames)-1]
	if len(c.stack) == f.height {
		if !f.dead {
			c.refuse(in, CodeType, "%s needs an operand that is not there", in.name)
		}
		return want
	}
	got := ValueType(c.stack[len(c.stack)-1])
	c.stack = c.stack[:len(c.stack)-1]
	if got == anyType {
		return want
	}
	if want != anyType && got != want {
		c.refuse(in, CodeType, "%s needs an %v and finds an %v", in.name, want, got)
	}
	return got
}

func (c *checker) popAll(in *instruction, types string) {
	for i := len(types) - 1; i >= 0; i-- {
		c.pop(in, ValueType(types[i]))
	}
}

// kill says that what follows in this block is never reached.
func (c *checker) kill() {
	f := &c.frames[len(c.frames)-1]
	c.stack, f.dead = c.stack[:f.height], true
}

// label returns what a branch to a label has to bring. Labels are counted from
// the innermost block to the function; the rewriter adds a block around it, so
// one label more would be valid there.
func (c *checker) label(in *instruction, label uint32) string {
	if uint64(label) >= uint64(len(c.frames)) {
		c.refuse(in, CodeIndex, "%s to label %d, %d are open", in.name, label, len(c.frames))
		return ""
	}
	return c.frames[len(c.frames)-1-int(label)].label()
}

func (c *checker) open(in *instruction) {
	switch c.blocks++; in.op {
	case opIf:
		c.blocks++
		c.pop(in, I32)
	case opLoop:
		c.blocks += 2 // for the charge that the rewriter adds
	}
	typ := c.blockType(in)
	c.popAll(in, typ.params)
	c.frames = append(c.frames, frame{op: in.op, funcType: typ, height: len(c.stack)})
	c.pushAll(in, typ.params)
	c.budget.use(&c.reader, limitNesting, uint64(len(c.frames)-1), in.at)
	c.budget.use(&c.reader, limitBlocks, uint64(c.blocks), in.at)
}

// blockType reads what a block takes and gives: nothing (-64), one value, or
// what a type of the module says.
func (c *checker) blockType(in *instruction) funcType {
	if in.value >= 0 {
		if in.value >= int64(len(c.types)) {
			c.refuse(in, CodeIndex, "%s of type %d, there are %d", in.name, in.value, len(c.types))
			return funcType{}
		}
		return c.types[in.value]
	}
	if in.value == blockOfNothing {
		return funcType{}
	}
	t := ValueType(in.value & 0x7f)
	typ, ok := onlyResult[t]
	if !ok || in.value < -64 {
		c.refuse(in, CodeFeature, "%s of type %d, which is none", in.name, in.value)
	}
	return typ
}

// blockOfNothing is the type of a block that neither takes nor gives.
const blockOfNothing = -64

func (c *checker) otherwise(in *instruction) {
	f := c.frames[len(c.frames)-1]
	if f.op != opIf {
		c.refuse(in, CodeType, "else without an if")
		return
	}
	c.blocks++
	c.leave(in)
	c.frames = append(c.frames, frame{op: opElse, funcType: f.funcType, height: len(c.stack)})
	c.pushAll(in, f.params)
}

func (c *checker) close(in *instruction) {
	f := c.frames[len(c.frames)-1]
	if f.op == opIf && f.params != f.results {
		c.refuse(in, CodeType, "an if without else takes (%s) and gives (%s)", typeNames(f.params), typeNames(f.results))
	}
	c.leave(in)
	c.pushAll(in, f.results)
}

// leave ends a frame, which must have its results on the stack and no more.
func (c *checker) leave(in *instruction) {
	f := &c.frames[len(c.frames)-1]
	c.popAll(in, f.results)
	if n := len(c.stack) - f.height; n > 0 {
		c.refuse(in, CodeType, "the block ends with %d operands too many", n)
		c.stack = c.stack[:f.height]
	}
	c.frames = c.frames[:len(c.frames)-1]
}

func (c *checker) branchTable(in *instruction) {
	c.branchBytes += c.at - in.at
	c.blocks += len(in.labels) / 4
	c.budget.use(&c.reader, limitBranchBytes, uint64(c.branchBytes), in.at)
	c.pop(in, I32)
	last := c.label(in, in.index)
	for _, l := range in.labels {
		label := c.label(in, l)
		if c.err != nil {
			return
		}
		if len(label) != len(last) {
			c.refuse(in, CodeType, "br_table to labels that take (%s) and (%s)", typeNames(last), typeNames(label))
			return
		}
		c.peekAll(in, label)
	}
	c.popAll(in, last)
	c.kill()
}

// peekAll checks that operands of the types are on the stack and leaves it as it
// is: an operand that is not known may be one type for one label and another for
// the next.
func (c *checker) peekAll(in *instruction, types string) {
	f := &c.frames[len(c.frames)-1]
	for i := range len(types) {
		at := len(c.stack) - 1 - i
		want := ValueType(types[len(types)-1-i])
		if at < f.height {
			if !f.dead {
				c.refuse(in, CodeType, "%s needs an operand that is not there", in.name)
			}
			return
		}
		if got := ValueType(c.stack[at]); got != anyType && got != want {
			c.refuse(in, CodeType, "%s needs an %v and finds an %v", in.name, want, got)
		}
	}
}

func (c *checker) call(in *instruction) {
	c.calls = true
	if in.op == opCall {
		if uint64(in.index) >= uint64(c.functionCount()) {
			c.refuse(in, CodeIndex, "call of function %d, there are %d", in.index, c.functionCount())
			return
		}
		typ := c.typeOf(in.index)
		c.popAll(in, typ.params)
		c.pushAll(in, typ.results)
		return
	}
	switch {
	case c.table == nil:
		c.refuse(in, CodeIndex, "call_indirect, and the module has no table")
	case uint64(in.index) >= uint64(len(c.types)):
		c.refuse(in, CodeIndex, "call_indirect of type %d, there are %d", in.index, len(c.types))
	default:
		typ := c.types[in.index]
		c.pop(in, I32)
		c.popAll(in, typ.params)
		c.pushAll(in, typ.results)
	}
}

func (c *checker) variable(in *instruction) {
	local := strings.HasPrefix(in.name, "local")
	most, what := len(c.globals), "global"
	if local {
		most, what = len(c.locals), "local"
	}
	if uint64(in.index) >= uint64(most) {
		c.refuse(in, CodeIndex, "%s %d, there are %d %ss", in.name, in.index, most, what)
		return
	}
	var t ValueType
	if local {
		t = ValueType(c.locals[in.index])
	} else {
		t = c.globals[in.index].typ
	}
	switch in.op {
	case opLocalGet, opGlobalGet:
		c.push(in, t)
	case opLocalTee:
		c.pop(in, t)
		c.push(in, t)
	case opGlobalSet:
		if !c.globals[in.index].mutable {
			c.refuse(in, CodeType, "global.set of %d, which is constant", in.index)
		}
		c.pop(in, t)
	default:
		c.pop(in, t)
	}
}
