// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

// The words that the collector has for devices, channels and classes are those
// that the engine says their fields may be.
func TestTheWordsOfFieldsAreTheEngines(t *testing.T) {
	found := map[string]string{} // by the constant's name
	for _, name := range []string{"device.go", "source.go", "referrer.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == len(spec.Names) {
				for i, name := range spec.Names {
					switch value := spec.Values[i].(type) {
					case *ast.BasicLit:
						found[name.Name], _ = strconv.Unquote(value.Value)
					case *ast.Ident:
						found[name.Name] = found[value.Name]
					}
				}
			}
			return true
		})
	}
	for prefix, number := range map[string]edge.FieldNumber{"device": edge.FieldDeviceType, "channel": edge.FieldSourceChannel, "class": edge.FieldRefClass} {
		var got []string
		for name, word := range found {
			if strings.HasPrefix(name, prefix) {
				got = append(got, word)
			}
		}
		fields := edge.Fields()
		want := fields[number].Words()
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s is filled with %q, and may be %q", fields[number].Name, got, want)
		}
	}
}
