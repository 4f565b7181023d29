// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// Names of variables that functions of the language stand for. They cannot be
// written: no name of CEL begins with @.
const (
	visitorVar  = "@visitor.id"
	countsVar   = "@counts"
	audienceVar = "@audience/" // and the audience's name
)

// A field is a field as the language knows it.
type field struct {
	name    string // wire name
	typ     edge.Type
	purpose consent.Purposes
	// number is that of a built-in field; own is the place of a site's own field
	// among its own, -1 for a built-in one.
	number edge.FieldNumber
	own    int
}

// A language is CEL over the fields and audiences of one document. It is
// read-only once made.
type language struct {
	env       *cel.Env
	fields    map[string]*field // by the variable's name
	audiences map[string]edge.Audience
	names     []string        // what an expression may name, sorted, for hints
	heads     map[string]bool // the first words of names
}

// newLanguage returns the language of a site's own fields and audiences. Their
// names are taken as they are: edge checks them.
func newLanguage(own []edge.OwnField, audiences []edge.Audience) (*language, error) {
	l := &language{
		fields:    make(map[string]*field),
		audiences: make(map[string]edge.Audience),
		heads:     make(map[string]bool),
	}
	var options []cel.EnvOption
	declare := func(f *field) {
		name := f.name
		switch f.number {
		case edge.FieldVisitorID:
			name = visitorVar
		case edge.FieldCounts:
			name = countsVar
		default:
			l.names = append(l.names, name)
			head, _, _ := strings.Cut(name, ".")
			l.heads[head] = true
		}
		if l.fields[name] == nil {
			l.fields[name] = f
			options = append(options, cel.Variable(name, celType(f.typ)))
		}
	}
	for _, f := range edge.Fields() {
		declare(&field{name: f.Name, typ: f.Type, purpose: f.Purpose, number: f.Number, own: -1})
	}
	for i, f := range own {
		if t := edge.ParseType(f.Type); t != edge.TypeUnknown {
			purpose, _ := consent.ParsePurposes(f.Purpose)
			declare(&field{name: f.Name, typ: t, purpose: purpose, number: -1, own: i})
		}
	}
	for _, a := range audiences {
		if _, twice := l.audiences[a.Name]; !twice {
			l.audiences[a.Name] = a
			options = append(options, cel.Variable(audienceVar+a.Name, cel.BoolType))
		}
	}
	slices.Sort(l.names)
	base, err := baseEnv()
	if err == nil {
		l.env, err = base.Extend(options...)
	}
	if err != nil {
		return nil, fmt.Errorf("rule language: %w", err)
	}
	return l, nil
}

// celType returns the type of a field's values in CEL.
func celType(t edge.Type) *cel.Type {
	switch t {
	case edge.TypeInt:
		return cel.IntType
	case edge.TypeFloat:
		return cel.DoubleType
	case edge.TypeBool:
		return cel.BoolType
	case edge.TypeTime:
		return cel.TimestampType
	case edge.TypeString:
		return cel.StringType
	case edge.TypeList:
		return cel.ListType(cel.StringType)
	case edge.TypeItems:
		return cel.ListType(cel.ObjectType(itemType))
	default:
		return cel.MapType(cel.StringType, cel.DoubleType)
	}
}

// Bounds of what the parser does with one expression. Deeper expressions than
// maxDepth are refused.
const (
	maxDepth  = 48
	maxErrors = 8 // that are told of one expression
)

// baseEnv is what all documents have in common. Making it is the dear part.
var baseEnv = sync.OnceValues(func() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	return cel.NewEnv(
		cel.CustomTypeProvider(itemProvider{registry}),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserErrorRecoveryLimit(maxErrors),
		cel.ParserExpressionSizeLimit(edge.MaxExpressionBytes),
		cel.EnableMacroCallTracking(),
		cel.CrossTypeNumericComparisons(true),
		cel.Macros(macros()...),
		cel.Function(fnLowerASCII, cel.MemberOverload("string_lower_ascii", []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				s, ok := v.(types.String)
				if !ok {
					return types.MaybeNoSuchOverloadErr(v)
				}
				return types.String(lowerASCII(string(s)))
			}))),
		cel.Function(fnHash, cel.Overload("hash_string_string", []*cel.Type{cel.StringType, cel.StringType}, cel.IntType,
			cel.BinaryBinding(func(salt, id ref.Val) ref.Val {
				s, ok := salt.(types.String)
				v, known := id.(types.String)
				if !ok || !known {
					return types.MaybeNoSuchOverloadErr(id)
				}
				return types.Int(edge.Bucket(string(s), string(v)))
			}))),
		cel.Function(fnDistance, cel.Overload("distance_km",
			[]*cel.Type{cel.DoubleType, cel.DoubleType, cel.DoubleType, cel.DoubleType}, cel.DoubleType,
			cel.FunctionBinding(celDistance))),
	)
})

// celDistance is distanceKm for cel-go.
func celDistance(args ...ref.Val) ref.Val {
	var at [4]float64
	for i, v := range args {
		d, ok := v.(types.Double)
		if !ok || i >= len(at) {
			return types.MaybeNoSuchOverloadErr(v)
		}
		at[i] = float64(d)
	}
	km, ok := distanceKm(at[0], at[1], at[2], at[3])
	if !ok {
		return types.NewErr("no such place")
	}
	return types.Double(km)
}

// lowerASCII folds A to Z and leaves every other byte.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// itemType is the type of an items field's elements, and its fields.
const (
	itemType     = "item"
	itemID       = "id"
	itemQuantity = "quantity"
	itemPrice    = "price"
)

// An itemProvider knows the type item beside those of CEL.
type itemProvider struct{ *types.Registry }

// FindStructType implements types.Provider.
func (p itemProvider) FindStructType(name string) (*types.Type, bool) {
	if name == itemType {
		return types.NewTypeTypeWithParam(types.NewObjectType(itemType)), true
	}
	return p.Registry.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p itemProvider) FindStructFieldNames(name string) ([]string, bool) {
	if name == itemType {
		return []string{itemID, itemQuantity, itemPrice}, true
	}
	return p.Registry.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (p itemProvider) FindStructFieldType(name, member string) (*types.FieldType, bool) {
	if name != itemType {
		return p.Registry.FindStructFieldType(name, member)
	}
	switch member {
	case itemID:
		return &types.FieldType{Type: types.StringType}, true
	case itemQuantity:
		return &types.FieldType{Type: types.IntType}, true
	case itemPrice:
		return &types.FieldType{Type: types.DoubleType}, true
	}
	return nil, false
}
