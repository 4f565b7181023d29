// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"math"
	"testing"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/nearside/nearside/edge"
)

// TestInterpreterAgreesWithCEL compares values of each type, to the last bit.
func TestInterpreterAgreesWithCEL(t *testing.T) {
	l := newLanguage(t, &edge.ReleaseDocument{Fields: siteFields})
	known := make(map[string]int)
	for seed := range uint64(150) {
		w := &writer{Rand: newRand(seed), fields: namedFields()}
		var visitors []*visitor
		for range 8 {
			visitors = append(visitors, newVisitor(w.Rand))
		}
		for range 2 {
			for name, source := range map[string]string{
				"bool": w.Bool(3), "int": w.Int(3), "double": w.Double(3), "string": w.Text(3), "timestamp": w.Time(3), "duration": w.Duration(3),
			} {
				e, err := l.Check(source, celTypes[name])
				if err != nil {
					t.Fatalf("%s\n%v", source, err)
				}
				program := newCELProgram(t, l, e)
				for _, v := range visitors {
					want := program.eval(celVars(t, l, v, nil, nil))
					got, why := l.Interpret(e, v.named, v.granted)
					if len(why) > 0 {
						got = neither{}
					} else {
						known[name]++
					}
					if !sameValue(got, want) {
						t.Fatalf("%s\nthe interpreter says %v %v, cel-go %v\n%s", source, got, why, want, v)
					}
				}
			}
		}
	}
	for name := range celTypes {
		if known[name] < 300 {
			t.Errorf("%d expressions of type %s had a value, want 300 and more", known[name], name)
		}
	}
}

var celTypes = map[string]*cel.Type{
	"bool": cel.BoolType, "int": cel.IntType, "double": cel.DoubleType, "string": cel.StringType,
	"timestamp": cel.TimestampType, "duration": cel.DurationType,
}

func sameValue(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b))
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b)
	}
	return a == b
}
