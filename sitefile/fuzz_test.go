// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"errors"
	"os"
	"testing"
	"testing/fstest"
)

// FuzzRead checks that no file panics, that findings have a place in the file,
// and that what is read comes back from an export.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"site.yaml", "people.yml", "slots/hero.yaml", "slots/rest.yaml"} {
		text, err := os.ReadFile("testdata/shop/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, tt := range wrongFiles {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := Read(fstest.MapFS{"a.yaml": {Data: []byte(text)}, "b.yaml": {Data: []byte(head)}})
		if err != nil {
			findings, ok := errors.AsType[Findings](err)
			if !ok || len(findings) == 0 {
				t.Fatalf("%v is no finding", err)
			}
			for _, one := range findings {
				if one.Code == "" || one.Message == "" || one.File != "" && (one.Line < 1 || one.Column < 1) {
					t.Fatalf("%+v has no place or no words", one)
				}
			}
			return
		}
		files, err := Render(&read.Document)
		if err != nil {
			t.Skip() // JSON that is deeper than an export goes
		}
		back, err := Read(asFS(files))
		if err != nil {
			t.Fatalf("an export is refused: %v\n%s", err, files)
		}
		sameDocument(t, &back.Document, &read.Document)
	})
}
