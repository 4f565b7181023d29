// SPDX-License-Identifier: Apache-2.0

package bytecode

// Limits bound a module. Each is the largest number allowed.
type Limits struct {
	Bytes           int // of the module
	Types           int
	Params, Results int // of a function or a block
	Imports         int
	Functions       int // the module's own
	TableEntries    int
	MemoryPages     int // of 64 KiB, at the start and after growing
	Globals         int
	Exports         int
	CustomSections  int
	DataSegments    int
	ElementSegments int
	Elements        int // of all element segments

	BodyBytes   int // of one function, its locals included
	Locals      int // of one function, without its parameters
	Operands    int // on the stack of one function at once
	Nesting     int // of blocks in each other
	BranchBytes int // of the br_tables of one function
	// Blocks are the basic blocks of one function, about: one each for a block,
	// an else, a br_if and four labels of a br_table, two for an if, three for a
	// loop.
	Blocks int
	// Complexity is what compiling takes: the sum over all functions of
	// blocks × (locals + parameters + 8 + blocks/16). Compilers look for every
	// local in every block, and follow blocks from one to the next.
	Complexity int
}

// Standard are the limits of modules written in C, Rust or AssemblyScript. They
// leave four times and more of what such modules need; what is as hard as they
// allow compiles in about a second (BenchmarkCompileAtTheLimits).
func Standard() Limits {
	return Limits{
		Bytes: 512 << 10, Types: 1024, Params: 16, Results: 4, Imports: 64, Functions: 8192,
		TableEntries: 16384, MemoryPages: 64, Globals: 256, Exports: 256, CustomSections: 64,
		DataSegments: 4096, ElementSegments: 64, Elements: 16384,
		BodyBytes: 64 << 10, Locals: 128, Operands: 256, Nesting: 512, BranchBytes: 4096,
		Blocks: 4096, Complexity: 2_000_000,
	}
}

// Large are the limits of modules that bring a runtime of their own, which the
// standard Go compiler makes: 1.9 MB, 22,000 data segments, blocks 296 deep and
// a complexity of 1.6 million for the smallest.
func Large() Limits {
	l := Standard()
	l.Bytes, l.DataSegments = 4<<20, 128<<10
	l.Nesting, l.Complexity = 1536, 8_000_000
	return l
}

// A Use is how much of one limit a module takes.
type Use struct {
	Name        string // the code of the Error for too much
	Used, Limit uint64
}

// A limit numbers the fields of Limits in the order of Uses.
type limit int

const (
	limitBytes limit = iota
	limitTypes
	limitParams
	limitResults
	limitImports
	limitFunctions
	limitTableEntries
	limitMemoryPages
	limitGlobals
	limitExports
	limitCustomSections
	limitDataSegments
	limitElementSegments
	limitElements
	limitBodyBytes
	limitLocals
	limitOperands
	limitNesting
	limitBranchBytes
	limitBlocks
	limitComplexity
	limitCount
)

// limitRows give each limit its code and what it counts.
var limitRows = [limitCount]struct {
	code, what string
	of         func(*Limits) int
}{
	limitBytes:           {"size", "bytes", func(l *Limits) int { return l.Bytes }},
	limitTypes:           {"types", "types", func(l *Limits) int { return l.Types }},
	limitParams:          {"params", "parameters", func(l *Limits) int { return l.Params }},
	limitResults:         {"results", "results", func(l *Limits) int { return l.Results }},
	limitImports:         {"imports", "imports", func(l *Limits) int { return l.Imports }},
	limitFunctions:       {"functions", "functions", func(l *Limits) int { return l.Functions }},
	limitTableEntries:    {"table", "table entries", func(l *Limits) int { return l.TableEntries }},
	limitMemoryPages:     {"memory", "memory pages", func(l *Limits) int { return l.MemoryPages }},
	limitGlobals:         {"globals", "globals", func(l *Limits) int { return l.Globals }},
	limitExports:         {"exports", "exports", func(l *Limits) int { return l.Exports }},
	limitCustomSections:  {"customs", "custom sections", func(l *Limits) int { return l.CustomSections }},
	limitDataSegments:    {"segments", "data segments", func(l *Limits) int { return l.DataSegments }},
	limitElementSegments: {"element-segments", "element segments", func(l *Limits) int { return l.ElementSegments }},
	limitElements:        {"elements", "elements", func(l *Limits) int { return l.Elements }},
	limitBodyBytes:       {"body", "bytes in one function", func(l *Limits) int { return l.BodyBytes }},
	limitLocals:          {"locals", "locals in one function", func(l *Limits) int { return l.Locals }},
	limitOperands:        {"operands", "values on the stack of one function", func(l *Limits) int { return l.Operands }},
	limitNesting:         {"nesting", "blocks nested in each other", func(l *Limits) int { return l.Nesting }},
	limitBranchBytes:     {"branches", "bytes in the br_tables of one function", func(l *Limits) int { return l.BranchBytes }},
	limitBlocks:          {"blocks", "blocks in one function", func(l *Limits) int { return l.Blocks }},
	limitComplexity:      {"complexity", "units of blocks × (locals + parameters + 8 + blocks/16)", func(l *Limits) int { return l.Complexity }},
}

// A budget is how much of each limit there is and how much was used.
type budget [limitCount]struct{ used, most uint64 }

func newBudget(l *Limits) (b budget) {
	for i, row := range limitRows {
		b[i].most = uint64(max(0, row.of(l)))
	}
	return b
}

// use notes that a module takes n of a limit. It fails the reader if that is
// too much; at is the byte to blame.
func (b *budget) use(r *reader, which limit, n uint64, at int) bool {
	u := &b[which]
	u.used = max(u.used, n)
	if n <= u.most {
		return true
	}
	row := &limitRows[which]
	r.fail(at, row.code, "%d %s, at most %d", n, row.what, u.most)
	return false
}

// uses lists what was used.
func (b *budget) uses() []Use {
	list := make([]Use, limitCount)
	for i := range list {
		list[i] = Use{limitRows[i].code, b[i].used, b[i].most}
	}
	return list
}
