// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestThePublishedSchemaIsTheReaders(t *testing.T) {
	if *update {
		if err := os.WriteFile("site.schema.json", Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile("site.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(published, Schema()) {
		t.Error("sitefile/site.schema.json is not what the table gives; go test ./sitefile -update writes it")
	}
}
