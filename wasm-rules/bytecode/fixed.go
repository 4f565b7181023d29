// SPDX-License-Identifier: Apache-2.0

package bytecode

// Fixed refuses, with an *Error, a module that is not a fixed piece of code: one
// that imports something, has a table, a memory that may grow, or a function
// that can come to call itself. Nothing of a fixed module can take more stack or
// memory than it shows, and it runs only what can be followed from its exports.
// It says nothing of loops.
func (m *Module) Fixed() error {
	switch {
	case len(m.Imports) > 0:
		return &Error{Code: CodeImport, Section: "import", Function: -1, What: "the module imports something"}
	case m.table != nil:
		return &Error{Code: CodeFeature, Section: "table", Function: -1, What: "the module has a table"}
	case int(m.memoryMax) != m.MemoryPages:
		return &Error{Code: CodeFeature, Section: "memory", Function: -1, What: "the memory may grow"}
	}
	w := &callWalk{Module: m, state: make([]walkState, len(m.functions))}
	for f := range m.functions {
		if err := w.from(f); err != nil {
			return err
		}
	}
	return nil
}

// A walkState says how far a walk has come with a function.
type walkState byte

const (
	notWalked walkState = iota
	isWalked            // and so are those who called it
	wasWalked           // with all that it calls
)

// A callWalk follows calls in a module without imports. It keeps the functions
// it is in itself: nested as deep as a module can nest them, they would be too
// many for the stack.
type callWalk struct {
	*Module
	state []walkState
	open  []openWalk
}

// An openWalk is a function whose calls are being followed.
type openWalk struct {
	function int
	code     *decoder
}

// from follows all calls from a function.
func (w *callWalk) from(function int) error {
	if w.state[function] == notWalked {
		w.enter(function)
	}
	for len(w.open) > 0 {
		at := &w.open[len(w.open)-1]
		if at.code.left() == 0 {
			w.state[at.function] = wasWalked
			w.open = w.open[:len(w.open)-1]
			continue
		}
		in := at.code.next()
		if in.op != opCall {
			continue
		}
		switch callee := int(in.index); w.state[callee] {
		case notWalked:
			w.enter(callee)
		case isWalked:
			return &Error{
				Code: CodeFeature, Section: "code", Offset: w.functions[at.function].at + in.at, Function: at.function,
				What: "the function can come to call itself",
			}
		}
	}
	return nil
}

func (w *callWalk) enter(function int) {
	f := &w.functions[function]
	w.state[function] = isWalked
	w.open = append(w.open, openWalk{function, decode(w.wasm[f.at:f.end])})
}
