// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// Pack returns a module with a custom section at its end, in place of those of
// the same name. It looks at the frame of sections only: a module that Verify
// refuses can be packed. The result shares no memory with wasm or content.
func Pack(wasm []byte, name string, content []byte) ([]byte, error) {
	if !utf8.ValidString(name) {
		r := newReader(wasm)
		r.fail(0, CodeName, "the section's name %.64q is not UTF-8", name)
		return nil, r.err
	}
	packed := code(slices.Concat(header))
	err := eachSection(wasm, func(id byte, whole, body []byte) {
		if found, _ := splitCustom(body); id != sectionCustom || found != name {
			packed.op(whole...)
		}
	})
	if err != nil {
		return nil, err
	}
	var custom code
	custom.sized([]byte(name))
	custom.op(content...)
	packed.section(sectionCustom, custom)
	return packed, nil
}

// Custom returns the contents of a module's custom sections of a name, in their
// order. Like Pack it looks at the frame of sections only. What it returns is
// part of wasm.
func Custom(wasm []byte, name string) ([][]byte, error) {
	var contents [][]byte
	err := eachSection(wasm, func(id byte, _, body []byte) {
		if found, content := splitCustom(body); id == sectionCustom && found == name {
			contents = append(contents, content)
		}
	})
	if err != nil {
		return nil, err
	}
	return contents, nil
}

// eachSection calls visit for each section in turn, with and without its head.
func eachSection(wasm []byte, visit func(id byte, whole, body []byte)) error {
	r := newReader(wasm)
	if !bytes.HasPrefix(wasm, header) {
		r.fail(0, CodeHeader, "this is not a WebAssembly 1.0 module: it does not begin with %q", header)
		return r.err
	}
	r.at = len(header)
	for r.left() > 0 {
		at := r.at
		id := r.byte()
		body := r.take(r.u32(), "a section")
		if r.err != nil {
			r.err.What = "the module cannot be read: " + r.err.What
			return r.err
		}
		visit(id, wasm[at:r.at], body)
	}
	return nil
}

func newReader(wasm []byte) *reader {
	return &reader{b: wasm, end: len(wasm), section: sectionModule, function: -1}
}

// splitCustom returns the name and the content of a custom section; the name of
// one that cannot be read is empty.
func splitCustom(body []byte) (name string, content []byte) {
	r := &reader{b: body, end: len(body)}
	if name = r.name(); r.err != nil {
		return "", nil
	}
	return name, body[r.at:]
}
