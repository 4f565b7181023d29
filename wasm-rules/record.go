// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/nearside/nearside/edge"
)

var le = binary.LittleEndian

// encodeRecord appends the record of a view to dst: the values of the fields in
// its mask and no other byte of the visit. A value that does not fit into
// MaxRecordBytes is absent; fields are tried in number order, so the same view
// always gives the same bytes. It allocates only to grow dst.
func encodeRecord(v *edge.View, dst []byte) []byte {
	fields := v.FieldCount()
	w := recordWriter{start: len(dst), slots: recordHeader + presenceBytes(fields)}
	w.b = appendZeros(dst, w.slots+fields*slotBytes)
	for i, left := range v.Mask() {
		present := uint64(0)
		for ; left != 0; left &= left - 1 {
			bit := bits.TrailingZeros64(left)
			n := i<<6 | bit
			if n < fields && w.put(n, v.Peek(edge.FieldNumber(n))) {
				present |= 1 << bit
			}
		}
		if present != 0 {
			le.PutUint64(w.b[w.start+recordHeader+i*8:], present)
		}
	}
	header := w.b[w.start:]
	le.PutUint32(header, RecordMagic)
	le.PutUint32(header[4:], uint32(len(header)))
	le.PutUint16(header[8:], uint16(edge.BuiltinFields))
	le.PutUint16(header[10:], uint16(fields-edge.BuiltinFields))
	return w.b
}

// presenceBytes is the size of the presence words of that many fields. The bit
// of field n is bit n&63 of word n>>6, which in little-endian words is bit n&7
// of byte n>>3.
func presenceBytes(fields int) int { return (fields + 63) / 64 * 8 }

// emptyRecord is a record of a site with that many own fields in which nothing
// is present: what a visitor who granted nothing gives a rule.
func emptyRecord(own int) []byte {
	fields := edge.BuiltinFields + own
	b := make([]byte, recordHeader+presenceBytes(fields)+fields*slotBytes)
	le.PutUint32(b, RecordMagic)
	le.PutUint32(b[4:], uint32(len(b)))
	le.PutUint16(b[8:], uint16(edge.BuiltinFields))
	le.PutUint16(b[10:], uint16(own))
	return b
}

func appendZeros(dst []byte, n int) []byte {
	from := len(dst)
	dst = slices.Grow(dst, n)[:from+n]
	clear(dst[from:])
	return dst
}

// A recordWriter appends a record to b from start on; slots is the offset of
// field 0's slot from start.
type recordWriter struct {
	b            []byte
	start, slots int
}

// put writes one value and reports whether it is present. What it writes is
// sized first, so a value that does not fit leaves nothing behind.
func (w *recordWriter) put(n int, v *edge.Value) bool {
	switch v.Type {
	case edge.TypeInt, edge.TypeBool, edge.TypeTime:
		w.slot(n, uint64(v.Int))
	case edge.TypeFloat:
		w.slot(n, math.Float64bits(v.Float))
	case edge.TypeString:
		if !w.fits(0, len(v.Str)) {
			return false
		}
		w.slot(n, w.text(v.Str))
	case edge.TypeList:
		return w.list(n, v.List)
	case edge.TypeItems:
		return w.items(n, v.Items)
	case edge.TypeMap:
		return w.entries(n, v.Map)
	default:
		return false
	}
	return true
}

// fits reports whether an array of that many bytes, aligned, and text after it
// find room.
func (w *recordWriter) fits(array, text int) bool {
	end := len(w.b) - w.start
	if array > 0 {
		end = align8(end)
	}
	return end+array+text <= MaxRecordBytes
}

func align8(n int) int { return (n + 7) &^ 7 }

// slot stores field n's slot by one 8-byte store.
func (w *recordWriter) slot(n int, bits uint64) {
	le.PutUint64(w.b[w.start+w.slots+n*slotBytes:], bits)
}

// text appends a string's bytes and returns its reference.
func (w *recordWriter) text(s string) uint64 {
	offset := len(w.b) - w.start
	w.b = append(w.b, s...)
	return uint64(offset) | uint64(len(s))<<32
}

// array appends room for a field's list, stores its reference in the slot and
// returns where in b the list begins. Texts follow it.
func (w *recordWriter) array(n, count, stride int) int {
	end := len(w.b) - w.start
	offset := align8(end)
	w.b = appendZeros(w.b, offset-end+count*stride)
	w.slot(n, uint64(offset)|uint64(count)<<32)
	return w.start + offset
}

func (w *recordWriter) list(n int, list []string) bool {
	text := 0
	for _, s := range list {
		text += len(s)
	}
	if !w.fits(len(list)*refBytes, text) {
		return false
	}
	at := w.array(n, len(list), refBytes)
	for i, s := range list {
		ref := w.text(s)
		le.PutUint64(w.b[at+i*refBytes:], ref)
	}
	return true
}

func (w *recordWriter) items(n int, items []edge.Item) bool {
	text := 0
	for i := range items {
		text += len(items[i].ID)
	}
	if !w.fits(len(items)*itemBytes, text) {
		return false
	}
	at := w.array(n, len(items), itemBytes)
	for i := range items {
		ref := w.text(items[i].ID)
		item := w.b[at+i*itemBytes:]
		le.PutUint64(item, ref)
		le.PutUint64(item[8:], uint64(items[i].Quantity))
		le.PutUint64(item[16:], math.Float64bits(items[i].Price))
	}
	return true
}

func (w *recordWriter) entries(n int, entries []edge.Entry) bool {
	text := 0
	for i := range entries {
		text += len(entries[i].Key)
	}
	if !w.fits(len(entries)*entryBytes, text) {
		return false
	}
	at := w.array(n, len(entries), entryBytes)
	for i := range entries {
		ref := w.text(entries[i].Key)
		entry := w.b[at+i*entryBytes:]
		le.PutUint64(entry, ref)
		le.PutUint64(entry[8:], math.Float64bits(entries[i].Value))
	}
	return true
}
