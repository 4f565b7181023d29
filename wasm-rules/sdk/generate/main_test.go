// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/nearside/nearside/edge"
)

func TestTheCommittedFieldListsAreTheEnginesTable(t *testing.T) {
	for name, want := range files() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("sdk/%s is not what edge/field.go says: run go generate ./wasm-rules", name)
		}
	}
}

func TestEveryFieldTypeHasAKind(t *testing.T) {
	for ty := edge.TypeInt; ty.String() != "invalid"; ty++ {
		if kinds[ty] == (kind{}) {
			t.Errorf("the SDKs have no type for %s fields", ty)
		}
	}
}
