// SPDX-License-Identifier: Apache-2.0

package bytecode

// What WASI's functions answer. There are no files, arguments, variables or
// sockets; output is swallowed; the clock moves when it is looked at and the
// random bytes are always the same ones, so that a module answers the same
// everywhere. Addresses outside the memory trap.
const (
	errnoSuccess = 0
	errnoBadFile = 8

	clockStart     = 1_000_000_000       // ns; the Go runtime refuses a clock at 0
	clockStep      = 1_000               // ns each time it is read
	clockSleep     = 10_000_000          // ns each time a module waits
	randomStart    = 0x4e6561727369646   // any number
	randomMultiply = 6364136223846793005 // Knuth's MMIX
	randomAdd      = 1442695040888963407
)

// stub returns what stands in for an imported function: the code is rewritten
// like the module's own.
func (w *rewriter) stub(i Import) (function, []byte) {
	f := function{typ: i.typ}
	var c code
	switch i.Name {
	case "args_sizes_get", "environ_sizes_get":
		c.storeZero(0)
		c.storeZero(1)
		c.i32(errnoSuccess)
	case "args_get", "environ_get", "sched_yield":
		c.i32(errnoSuccess)
	case "clock_res_get":
		c.on(opLocalGet, 1)
		c.i64(clockStep)
		c.access(opI64Store, 3, 0)
		c.i32(errnoSuccess)
	case "clock_time_get":
		clock := w.tick(&c, clockStep)
		c.on(opLocalGet, 2)
		c.on(opGlobalGet, clock)
		c.access(opI64Store, 3, 0)
		c.i32(errnoSuccess)
	case "poll_oneoff":
		w.tick(&c, clockSleep)
		c.storeZero(3)
		c.i32(errnoSuccess)
	case "fd_write":
		f.locals = string([]byte{byte(I32)})
		c.swallow()
	case "random_get":
		w.fillRandom(&c)
	case "proc_exit":
		c.op(opUnreachable)
	default:
		c.i32(errnoBadFile)
	}
	c.op(opEnd)
	return f, c
}

// state returns the number of a global that the stubs keep, and adds it when
// first asked. Numbers follow the order of the imports.
func (w *rewriter) state(number *uint32, start int64) uint32 {
	if *number == 0 {
		*number = uint32(len(w.globals))
		w.globals = append(w.globals, globalVariable{I64, true, constant{op: opI64Const, value: start}})
	}
	return *number
}

// tick moves the clock.
func (w *rewriter) tick(c *code, step int64) (clock uint32) {
	clock = w.state(&w.clock, clockStart)
	c.on(opGlobalGet, clock)
	c.i64(step)
	c.op(opI64Add)
	c.on(opGlobalSet, clock)
	return clock
}

// storeZero stores an i32 of 0 at the address in a parameter.
func (c *code) storeZero(param uint32) {
	c.on(opLocalGet, param)
	c.i32(0)
	c.access(opI32Store, 2, 0)
}

// each repeats what body writes as often as the i32 in a local says, counting it
// down.
func (c *code) each(local uint32, body func()) {
	c.op(opBlock, blockOfNothing&0x7f, opLoop, blockOfNothing&0x7f)
	c.on(opLocalGet, local)
	c.op(opI32Eqz)
	c.on(opBrIf, 1)
	body()
	c.on(opLocalGet, local)
	c.i32(1)
	c.op(opI32Sub)
	c.on(opLocalSet, local)
	c.on(opBr, 0)
	c.op(opEnd, opEnd)
}

// swallow is fd_write(file, vectors, count, written): standard output (1) and
// error (2) take everything.
func (c *code) swallow() {
	const vectors, count, written, total = 1, 2, 3, 4
	c.on(opLocalGet, 0)
	c.i32(1)
	c.op(opI32Sub)
	c.i32(1)
	c.op(opI32GtU, opIf, blockOfNothing&0x7f)
	c.i32(errnoBadFile)
	c.op(opReturn, opEnd)
	c.each(count, func() {
		c.on(opLocalGet, total)
		c.on(opLocalGet, vectors)
		c.access(opI32Load, 2, 4)
		c.op(opI32Add)
		c.on(opLocalSet, total)
		c.on(opLocalGet, vectors)
		c.i32(8)
		c.op(opI32Add)
		c.on(opLocalSet, vectors)
	})
	c.on(opLocalGet, written)
	c.on(opLocalGet, total)
	c.access(opI32Store, 2, 0)
	c.i32(errnoSuccess)
}

// fillRandom is random_get(address, length): the high bytes of a linear
// congruential sequence, which never sticks at one value as zeros would.
func (w *rewriter) fillRandom(c *code) {
	const address, length = 0, 1
	seed := w.state(&w.random, randomStart)
	c.each(length, func() {
		c.on(opGlobalGet, seed)
		c.i64(randomMultiply)
		c.op(opI64Mul)
		c.i64(randomAdd)
		c.op(opI64Add)
		c.on(opGlobalSet, seed)
		c.on(opLocalGet, address)
		c.on(opGlobalGet, seed)
		c.i64(56)
		c.op(opI64ShrU)
		c.access(opI64Store8, 0, 0)
		c.on(opLocalGet, address)
		c.i32(1)
		c.op(opI32Add)
		c.on(opLocalSet, address)
	})
	c.i32(errnoSuccess)
}
