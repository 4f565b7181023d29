// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/nearside/nearside/edge"
)

// opaque is what cel-go's values below do not do: no rule converts, compares or
// adds them.
type opaque struct{}

var errOpaque = errors.New("not converted")

func (opaque) ConvertToNative(reflect.Type) (any, error) { return nil, errOpaque }
func (opaque) ConvertToType(ref.Type) ref.Val            { return types.WrapErr(errOpaque) }
func (opaque) Equal(ref.Val) ref.Val                     { return types.WrapErr(errOpaque) }
func (opaque) Add(ref.Val) ref.Val                       { return types.WrapErr(errOpaque) }
func (opaque) Get(ref.Val) ref.Val                       { return types.WrapErr(errOpaque) }

// texts is a list of strings that cel-go reads where it is.
type texts struct {
	opaque
	list []string
}

// Type implements ref.Val.
func (texts) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (l texts) Value() any { return l.list }

// Size implements traits.Sizer.
func (l texts) Size() ref.Val { return types.Int(len(l.list)) }

// Contains implements traits.Container.
func (l texts) Contains(v ref.Val) ref.Val {
	want, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	for _, s := range l.list {
		if s == string(want) {
			return types.True
		}
	}
	return types.False
}

// Iterator implements traits.Iterable.
func (l texts) Iterator() traits.Iterator { return &iterator{texts: l.list, size: len(l.list)} }

// things is a list of items.
type things struct {
	opaque
	list []edge.Item
}

// Type implements ref.Val.
func (things) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (l things) Value() any { return l.list }

// Size implements traits.Sizer.
func (l things) Size() ref.Val { return types.Int(len(l.list)) }

// Contains implements traits.Container: no rule asks.
func (things) Contains(ref.Val) ref.Val { return types.False }

// Iterator implements traits.Iterable.
func (l things) Iterator() traits.Iterator { return &iterator{things: l.list, size: len(l.list)} }

// A thing is one item; its pointer is boxed without an allocation.
type thing edge.Item

// ConvertToNative implements ref.Val.
func (*thing) ConvertToNative(reflect.Type) (any, error) { return nil, errOpaque }

// ConvertToType implements ref.Val.
func (*thing) ConvertToType(ref.Type) ref.Val { return types.WrapErr(errOpaque) }

// Equal implements ref.Val.
func (*thing) Equal(ref.Val) ref.Val { return types.WrapErr(errOpaque) }

// Type implements ref.Val.
func (*thing) Type() ref.Type { return itemType }

// Value implements ref.Val.
func (t *thing) Value() any { return t }

var itemType = cel.ObjectType("item")

// An itemProvider tells cel-go of an item's members and how to read them without
// reflection.
type itemProvider struct{ types.Provider }

// FindStructType implements types.Provider.
func (p itemProvider) FindStructType(name string) (*types.Type, bool) {
	if name == itemType.TypeName() {
		return types.NewTypeTypeWithParam(itemType), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldType implements types.Provider.
func (p itemProvider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name != itemType.TypeName() {
		return p.Provider.FindStructFieldType(name, field)
	}
	set := func(any) bool { return true }
	switch field {
	case "id":
		return &types.FieldType{Type: types.StringType, IsSet: set, GetFrom: func(o any) (any, error) { return types.String(o.(*thing).ID), nil }}, true
	case "quantity":
		return &types.FieldType{Type: types.IntType, IsSet: set, GetFrom: func(o any) (any, error) { return types.Int(o.(*thing).Quantity), nil }}, true
	case "price":
		return &types.FieldType{Type: types.DoubleType, IsSet: set, GetFrom: func(o any) (any, error) { return types.Double(o.(*thing).Price), nil }}, true
	}
	return nil, false
}

// An iterator is over a list of either kind.
type iterator struct {
	opaque
	texts      []string
	things     []edge.Item
	next, size int
}

// Type implements ref.Val.
func (*iterator) Type() ref.Type { return types.IteratorType }

// Value implements ref.Val.
func (*iterator) Value() any { return nil }

// HasNext implements traits.Iterator.
func (i *iterator) HasNext() ref.Val { return types.Bool(i.next < i.size) }

// Next implements traits.Iterator.
func (i *iterator) Next() ref.Val {
	i.next++
	if i.texts != nil {
		return types.String(i.texts[i.next-1])
	}
	return (*thing)(&i.things[i.next-1])
}

// entries is a map in which cel-go looks up a key where it is.
type entries struct {
	opaque
	list []edge.Entry
}

// Type implements ref.Val.
func (entries) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (m entries) Value() any { return m.list }

// Size implements traits.Sizer.
func (m entries) Size() ref.Val { return types.Int(len(m.list)) }

// Iterator implements traits.Iterable: no rule goes over keys.
func (m entries) Iterator() traits.Iterator { return &iterator{} }

// Contains implements traits.Container.
func (m entries) Contains(key ref.Val) ref.Val {
	v, found := m.Find(key)
	if types.IsError(v) && v != ref.Val(noKey) {
		return v
	}
	return types.Bool(found)
}

// noKey is what a missing key is; one error for all is cheaper than cel-go's own.
var noKey = types.NewErr("no such key")

// Find implements traits.Mapper.
func (m entries) Find(key ref.Val) (ref.Val, bool) {
	want, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	for i := range m.list {
		if m.list[i].Key == string(want) {
			return types.Double(m.list[i].Value), true
		}
	}
	return noKey, false
}
