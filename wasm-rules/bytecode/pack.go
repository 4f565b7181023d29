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
	r := &reader{b: wasm, end: len(wasm), section: sectionModule, function: -1}
	if !bytes.HasPrefix(wasm, header) {
		return nil, r.fail(0, CodeHeader, "this is not a WebAssembly 1.0 module: it does not begin with %q", header)
	}
	if !utf8.ValidString(name) {
		return nil, r.fail(0, CodeName, "the section's name %.64q is not UTF-8", name)
	}
	r.at = len(header)
	packed := code(slices.Concat(header))
	for r.left() > 0 && r.err == nil {
		at := r.at
		id := r.byte()
		body := r.take(r.u32(), "a section")
		if id == sectionCustom && sectionName(body) == name {
			continue
		}
		packed.op(wasm[at:r.at]...)
	}
	if r.err != nil {
		r.err.What = "the module cannot be read: " + r.err.What
		return nil, r.err
	}
	var custom code
	custom.sized([]byte(name))
	custom.op(content...)
	packed.section(sectionCustom, custom)
	return packed, nil
}

// sectionName returns the name of a custom section; that of one that cannot be
// read is empty.
func sectionName(custom []byte) string {
	r := &reader{b: custom, end: len(custom)}
	return r.name()
}
