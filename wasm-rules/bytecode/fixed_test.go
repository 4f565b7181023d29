// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"errors"
	"strings"
	"testing"
)

func TestFixed(t *testing.T) {
	fixedPage := []byte{1, 1, 1, 1}
	calling := func(callees ...[]byte) draft {
		d := draft{memory: fixedPage}
		for _, list := range callees {
			d.funcs = append(d.funcs, draftFunc{typ: ":", code: write(func(c *code) {
				for _, callee := range list {
					c.on(opCall, uint32(callee))
				}
			})})
		}
		return d
	}
	deep := make([][]byte, 200) // each calls the next
	for i := range deep[1:] {
		deep[i] = []byte{byte(i + 1)}
	}
	tests := []struct {
		name string
		give draft
		want string // part of the error; empty for none
	}{
		{"code alone", calling(nil), ""},
		{"a function called from two places", calling([]byte{1, 2}, []byte{2}, nil, []byte{1}), ""},
		{"a long chain of calls", calling(deep...), ""},
		{"a call of itself", calling(nil, []byte{1}), "function 1: the function can come to call itself"},
		{"a circle", calling([]byte{1}, []byte{3, 2}, []byte{0}, nil), "call itself"},
		{"a circle that no export reaches first", calling(nil, []byte{0, 2}, []byte{0, 1}), "call itself"},
		{"an import", draft{memory: fixedPage, imports: []draftImport{{wasiModule, "proc_exit", "i:"}}}, "imports something"},
		{"a table", draft{memory: fixedPage, table: []byte{1, 0x70, 0, 1}}, "has a table"},
		{"a memory without an end", draft{memory: onePage}, "may grow"},
		{"a memory with room to grow", draft{memory: []byte{1, 1, 1, 2}}, "may grow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Verify(tt.give.bytes(), Standard())
			if err != nil {
				t.Fatal(err)
			}
			err = m.Fixed()
			switch refused, ok := errors.AsType[*Error](err); {
			case tt.want == "" && err != nil, tt.want != "" && (!ok || !strings.Contains(refused.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
