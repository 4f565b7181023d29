// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"fmt"
	"math"

	"github.com/nearside/nearside/edge"
)

// DecodeRecord reads a record back: one Value per field in number order, the
// unknown Value where nothing is present. own are the types of the site's own
// fields; the built-in ones are the engine's. A record of a time with fewer
// built-in fields has no value for the later ones. It is what a correct guest
// does, written once in Go for replays and tests; it refuses every record that
// encodeRecord could not have made, and allocates no more than a small multiple
// of the record. The values are copies.
func DecodeRecord(record []byte, own []edge.Type) ([]edge.Value, error) {
	if len(record) < recordHeader || len(record) > MaxRecordBytes {
		return nil, fmt.Errorf("record: %d bytes, want %d to %d", len(record), recordHeader, MaxRecordBytes)
	}
	if magic := le.Uint32(record); magic != RecordMagic {
		return nil, fmt.Errorf("record: magic %#x, want %#x", magic, RecordMagic)
	}
	if n := le.Uint32(record[4:]); int64(n) != int64(len(record)) {
		return nil, fmt.Errorf("record: says %d bytes, has %d", n, len(record))
	}
	builtins, o := int(le.Uint16(record[8:])), int(le.Uint16(record[10:]))
	if builtins < edge.FirstBuiltinFields || builtins > edge.BuiltinFields || o != len(own) {
		return nil, fmt.Errorf("record: %d built-in and %d own fields, want %d to %d and %d",
			builtins, o, edge.FirstBuiltinFields, edge.BuiltinFields, len(own))
	}
	if le.Uint32(record[12:]) != 0 {
		return nil, errors.New("record: reserved word is not 0")
	}
	fields := builtins + len(own)
	r := recordReader{b: record, slots: recordHeader + presenceBytes(fields)}
	r.heap = r.slots + fields*slotBytes
	if r.heap > len(record) {
		return nil, errors.New("record: cut off in its slots")
	}
	if err := r.spareBits(fields); err != nil {
		return nil, err
	}
	types := make([]edge.Type, 0, fields)
	for _, f := range edge.Fields()[:builtins] {
		types = append(types, f.Type)
	}
	types = append(types, own...)
	values := make([]edge.Value, edge.BuiltinFields+len(own))
	for n, t := range types {
		v, err := r.value(n, t)
		if err != nil {
			return nil, fmt.Errorf("record: field %d: %w", n, err)
		}
		if n >= builtins {
			n += edge.BuiltinFields - builtins // an own field's number now
		}
		values[n] = v
	}
	return values, nil
}

// A recordReader reads b; slots and heap are where those parts begin.
type recordReader struct {
	b           []byte
	slots, heap int
}

// spareBits checks the presence bits that belong to no field.
func (r *recordReader) spareBits(fields int) error {
	for n := fields; n < (r.slots-recordHeader)*8; n++ {
		if r.present(n) {
			return fmt.Errorf("record: presence bit %d has no field", n)
		}
	}
	return nil
}

func (r *recordReader) present(n int) bool { return r.b[recordHeader+n>>3]>>(n&7)&1 == 1 }

var (
	errAbsentSlot = errors.New("absent, but its slot is not 0")
	errBounds     = errors.New("points outside the record")
	errAlign      = errors.New("list is not aligned to 8 bytes")
)

func (r *recordReader) value(n int, t edge.Type) (edge.Value, error) {
	slot := r.b[r.slots+n*slotBytes:]
	bits := le.Uint64(slot)
	if !r.present(n) {
		if bits != 0 {
			return edge.Value{}, errAbsentSlot
		}
		return edge.Value{}, nil
	}
	v := edge.Value{Type: t}
	var err error
	switch t {
	case edge.TypeInt, edge.TypeBool, edge.TypeTime:
		v.Int = int64(bits)
	case edge.TypeFloat:
		v.Float = math.Float64frombits(bits)
	case edge.TypeString:
		v.Str, err = r.text(slot)
	case edge.TypeList:
		err = r.each(slot, refBytes, func(at []byte) error {
			s, err := r.text(at)
			v.List = append(v.List, s)
			return err
		})
	case edge.TypeItems:
		err = r.each(slot, itemBytes, func(at []byte) error {
			id, err := r.text(at)
			v.Items = append(v.Items, edge.Item{
				ID: id, Quantity: int64(le.Uint64(at[8:])), Price: math.Float64frombits(le.Uint64(at[16:])),
			})
			return err
		})
	case edge.TypeMap:
		err = r.each(slot, entryBytes, func(at []byte) error {
			key, err := r.text(at)
			v.Map = append(v.Map, edge.Entry{Key: key, Value: math.Float64frombits(le.Uint64(at[8:]))})
			return err
		})
	default:
		return edge.Value{}, errors.New("present, but its type is not known")
	}
	if err != nil {
		return edge.Value{}, err
	}
	return v, nil
}

// heapSlice returns the bytes of count elements that ref points to.
func (r *recordReader) heapSlice(ref []byte, stride uint64) ([]byte, error) {
	offset, count := uint64(le.Uint32(ref)), uint64(le.Uint32(ref[4:]))
	if offset < uint64(r.heap) || offset+count*stride > uint64(len(r.b)) {
		return nil, errBounds
	}
	return r.b[offset : offset+count*stride], nil
}

func (r *recordReader) text(ref []byte) (string, error) {
	b, err := r.heapSlice(ref, 1)
	return string(b), err
}

func (r *recordReader) each(slot []byte, stride int, visit func(at []byte) error) error {
	if le.Uint32(slot)%8 != 0 {
		return errAlign
	}
	b, err := r.heapSlice(slot, uint64(stride))
	if err != nil {
		return err
	}
	for ; len(b) > 0; b = b[stride:] {
		if err := visit(b[:stride:stride]); err != nil {
			return err
		}
	}
	return nil
}
