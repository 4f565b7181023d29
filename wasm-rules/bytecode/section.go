// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"slices"
	"strings"
)

// sectionModule stands in an Error for the module as a whole.
const sectionModule = "module"

// Section ids.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

// sectionRows are the sections by id. Their rank is the order they come in,
// which is not that of the ids.
var sectionRows = [...]struct {
	name string
	rank int
	read func(*verifier)
}{
	sectionCustom:    {"custom", 0, (*verifier).custom},
	sectionType:      {"type", 1, (*verifier).typeSection},
	2:                {"import", 2, (*verifier).importSection},
	sectionFunction:  {"function", 3, (*verifier).functionSection},
	sectionTable:     {"table", 4, (*verifier).tableSection},
	sectionMemory:    {"memory", 5, (*verifier).memorySection},
	sectionGlobal:    {"global", 6, (*verifier).globalSection},
	sectionExport:    {"export", 7, (*verifier).exportSection},
	8:                {"start", 8, (*verifier).startSection},
	sectionElement:   {"element", 9, (*verifier).elementSection},
	sectionCode:      {"code", 11, (*verifier).codeSection},
	sectionData:      {"data", 12, (*verifier).dataSection},
	sectionDataCount: {"data count", 10, (*verifier).dataCountSection},
}

// ReservedPrefix begins the names that only Rewrite may export, and that a
// module may have one custom section of.
const ReservedPrefix = "near."

// nextSection reads a section after one of rank last, and returns its rank.
func (v *verifier) nextSection(last int) int {
	at := v.at
	id := v.byte()
	v.section = sectionModule
	if int(id) >= len(sectionRows) {
		v.fail(at, CodeSection, "section %d at byte %d is unknown or not allowed", id, at)
		return last
	}
	row := &sectionRows[id]
	v.section = row.name
	if id != sectionCustom && row.rank <= last {
		v.fail(at, CodeSection, "the section is repeated or out of order")
	}
	size := v.u32()
	if uint64(size) > uint64(v.left()) {
		v.fail(at, CodeTruncated, "a section of %d bytes where %d are left", size, v.left())
		return last
	}
	v.end = v.at + int(size)
	row.read(v)
	if v.at < v.end {
		v.fail(v.at, CodeSection, "%d bytes are left over", v.left())
	}
	v.end = len(v.b)
	if v.err != nil {
		v.at = v.end
	}
	return max(last, row.rank)
}

// each calls element for as many parts as the next number says.
func (v *verifier) each(which limit, element func(i int)) {
	n := v.count(&v.budget, which)
	for i := 0; i < n && v.err == nil; i++ {
		element(i)
	}
}

func (v *verifier) custom() {
	at := v.at
	name := v.name()
	v.budget.use(&v.reader, limitCustomSections, uint64(len(v.customs)+1), at)
	if strings.HasPrefix(name, ReservedPrefix) && v.customNamed(name) != nil {
		v.fail(at, CodeName, "a second custom section %.64q", name)
	}
	v.customs = append(v.customs, customSection{name, v.b[v.at:v.end:v.end]})
	v.at = v.end
}

func (v *verifier) typeSection() {
	v.each(limitTypes, func(int) {
		at := v.at
		if form := v.byte(); form != 0x60 {
			v.fail(at, CodeFeature, "a type of form 0x%02x, only functions (0x60) are allowed", form)
		}
		params := v.valueTypes(limitParams)
		v.types = append(v.types, funcType{params, v.valueTypes(limitResults)})
	})
}

func (v *verifier) valueTypes(which limit) string {
	n := v.count(&v.budget, which)
	at := v.at
	types := v.take(uint32(n), "types")
	for i, t := range types {
		v.checkType(at+i, ValueType(t))
	}
	return string(types)
}

func (v *verifier) checkType(at int, t ValueType) {
	if !t.known() {
		v.fail(at, CodeFeature, "type 0x%02x, only i32, i64, f32 and f64 are allowed", byte(t))
	}
}

// typeIndex reads the number of a type that there is.
func (v *verifier) typeIndex() int {
	at := v.at
	n := v.u32()
	if uint64(n) >= uint64(len(v.types)) {
		v.fail(at, CodeIndex, "type %d, there are %d", n, len(v.types))
		return 0
	}
	return int(n)
}

func (v *verifier) importSection() {
	v.each(limitImports, func(int) {
		at := v.at
		module, name := v.name(), v.name()
		if kind := Kind(v.byte()); kind != Function {
			v.fail(at, CodeImport, "import %.64q of %.64q is no function", name, module)
		}
		typ := v.typeIndex()
		if v.err != nil {
			return
		}
		got := v.types[typ]
		want, ok := wasiType(module, name)
		switch {
		case !ok:
			v.fail(at, CodeImport, "import %.64q of %.64q is not offered; a rule imports nothing but functions of %s", name, module, wasiModule)
		case got != want:
			v.fail(at, CodeImport, "import %.64q is declared as %v, it is %v", name, got, want)
		}
		v.Imports = append(v.Imports, Import{module, name, got.String(), typ})
	})
}

func (v *verifier) functionSection() {
	v.each(limitFunctions, func(int) {
		v.functions = append(v.functions, function{typ: v.typeIndex()})
	})
	v.declared = len(v.functions)
}

func (v *verifier) tableSection() {
	at := v.at
	n := v.u32()
	if n > 1 {
		v.fail(at, CodeFeature, "%d tables, at most 1", n)
	}
	for range v.fits(at, n, "tables") {
		if kind := v.byte(); kind != 0x70 {
			v.fail(v.at-1, CodeFeature, "a table of type 0x%02x, only functions (0x70) are allowed", kind)
		}
		least, most := v.sizes(limitTableEntries, "table")
		v.table = &table{least, most}
	}
}

func (v *verifier) memorySection() {
	at := v.at
	n := v.u32()
	if n > 1 {
		v.fail(at, CodeFeature, "%d memories, at most 1", n)
	}
	for range v.fits(at, n, "memories") {
		least, most := v.sizes(limitMemoryPages, "memory")
		v.memories, v.MemoryPages, v.memoryMax = 1, int(least), most
	}
}

// sizes reads the first and the largest size of a table or memory. Growing is
// bounded by the limit, whatever the module says.
func (v *verifier) sizes(which limit, what string) (least, most uint32) {
	at := v.at
	flags := v.byte()
	if flags > 1 {
		v.fail(at, CodeFeature, "a %s of kind %d: shared and 64-bit ones are not allowed", what, flags)
	}
	first := v.at
	least, most = v.u32(), uint32(v.budget[which].most)
	v.budget.use(&v.reader, which, uint64(least), first)
	if flags == 1 {
		at = v.at
		own := v.u32()
		if own < least {
			v.fail(at, CodeFeature, "a %s of at least %d and at most %d", what, least, own)
		}
		most = min(most, own)
	}
	return least, most
}

func (v *verifier) globalSection() {
	v.each(limitGlobals, func(int) {
		at := v.at
		g := globalVariable{typ: ValueType(v.byte())}
		v.checkType(at, g.typ)
		mutable := v.byte()
		if mutable > 1 {
			v.fail(v.at-1, CodeFeature, "a global of kind %d, neither constant (0) nor mutable (1)", mutable)
		}
		g.mutable = mutable == 1
		g.initial = v.constant(g.typ)
		v.globals = append(v.globals, g)
	})
}

// constant reads an initialiser. Reading a global is not offered: only imported
// ones may be read there, and none can be imported.
func (v *verifier) constant(want ValueType) constant {
	d := decoder{reader: &v.reader}
	in := d.next()
	got := anyType
	switch in.op {
	case opI32Const:
		got = I32
	case opI64Const:
		got = I64
	case opF32Const:
		got = F32
	case opF64Const:
		got = F64
	}
	end := v.at
	switch {
	case got == anyType:
		v.fail(in.at, CodeConstant, "an initialiser that is not a constant")
	case got != want:
		v.fail(in.at, CodeConstant, "an initialiser of type %v, want %v", got, want)
	case v.byte() != opEnd:
		v.fail(end, CodeConstant, "an initialiser that is more than one constant")
	}
	return constant{in.op, in.value, in.bits}
}

func (v *verifier) exportSection() {
	names := map[string]bool{}
	v.each(limitExports, func(int) {
		at := v.at
		e := Export{Name: v.name(), Kind: Kind(v.byte())}
		if strings.HasPrefix(e.Name, ReservedPrefix) {
			v.fail(at, CodeReserved, "export %.64q: names that begin with %q are the host's", e.Name, ReservedPrefix)
		}
		if names[e.Name] {
			v.fail(at, CodeName, "a second export %.64q", e.Name)
		}
		names[e.Name] = true
		if e.Kind > Global {
			v.fail(at, CodeFeature, "export %.64q is of kind %d", e.Name, e.Kind)
			return
		}
		of := [...]int{Function: v.functionCount(), Memory: v.memories, Global: len(v.globals)}
		if v.table != nil {
			of[Table] = 1
		}
		index := v.u32()
		if uint64(index) >= uint64(of[e.Kind]) {
			v.fail(at, CodeIndex, "export %.64q is number %d of %d", e.Name, index, of[e.Kind])
			return
		}
		e.Index = int(index)
		if e.Kind == Function {
			e.Type = v.typeOf(index).String()
		}
		v.Exports = append(v.Exports, e)
	})
}

func (v *verifier) startSection() {
	v.fail(v.at, CodeStart, "a start function is not allowed; export it as _initialize")
}

func (v *verifier) elementSection() {
	total := 0
	v.each(limitElementSegments, func(int) {
		at := v.at
		if flags := v.u32(); flags != 0 {
			v.fail(at, CodeSegment, "an element segment of kind %d; only active ones of function numbers (0) are allowed", flags)
		}
		s := elementSegment{offset: v.constant(I32)}
		at = v.at
		n := v.fits(at, v.u32(), "elements")
		total += n
		v.budget.use(&v.reader, limitElements, uint64(total), at)
		switch {
		case v.table == nil:
			v.fail(at, CodeIndex, "an element segment without a table")
		case !inside(s.offset, n, uint64(v.table.least)):
			v.fail(at, CodeSegment, "%d elements at %d, past the table's end of %d", n, uint32(s.offset.value), v.table.least)
		}
		for i := 0; i < n && v.err == nil; i++ {
			s.functions = append(s.functions, v.functionIndex())
		}
		v.elements = append(v.elements, s)
	})
}

// inside reports whether n parts at an offset are among the first most.
func inside(offset constant, n int, most uint64) bool {
	return uint64(uint32(offset.value))+uint64(n) <= most
}

// functionIndex reads the number of a function that there is.
func (v *verifier) functionIndex() uint32 {
	at := v.at
	n := v.u32()
	if uint64(n) >= uint64(v.functionCount()) {
		v.fail(at, CodeIndex, "function %d, there are %d", n, v.functionCount())
	}
	return n
}

func (v *verifier) dataCountSection() { v.dataCount = int(v.u32()) }

func (v *verifier) dataSection() {
	v.each(limitDataSegments, func(int) {
		at := v.at
		if flags := v.u32(); flags != 0 {
			v.fail(at, CodeSegment, "a data segment of kind %d; only active ones (0) are allowed", flags)
		}
		if v.memories == 0 {
			v.fail(at, CodeIndex, "a data segment without a memory")
		}
		s := dataSegment{offset: v.constant(I32)}
		at = v.at
		s.content = slices.Clip(v.take(v.u32(), "a data segment"))
		if size := uint64(v.MemoryPages) * PageBytes; v.err == nil && !inside(s.offset, len(s.content), size) {
			v.fail(at, CodeSegment, "%d bytes of data at %d, past the memory's first size of %d", len(s.content), uint32(s.offset.value), size)
		}
		v.segments = append(v.segments, s)
	})
}
