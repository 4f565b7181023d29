// SPDX-License-Identifier: Apache-2.0

package edge

import "encoding/binary"

// The packing of what a rule received, which is mostly empty slots:
//
//	packed = length:uvarint run… rest
//	run    = zero:u8 kept:u8 word…
//
// A run is so many words of eight zero bytes, then so many as they stand. The rest
// are the length's last bytes, fewer than eight. Texts stay whole.
const (
	packWord = 8
	packMost = 255 // words of a kind in a run
)

// appendPacked appends src, packed.
func appendPacked(dst, src []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(src)))
	whole := len(src) / packWord * packWord
	for at := 0; at < whole; {
		from := at
		for most := min(whole, from+packMost*packWord); at < most && binary.LittleEndian.Uint64(src[at:]) == 0; {
			at += packWord
		}
		zero := (at - from) / packWord
		from = at
		for most := min(whole, from+packMost*packWord); at < most && binary.LittleEndian.Uint64(src[at:]) != 0; {
			at += packWord
		}
		dst = append(append(dst, byte(zero), byte((at-from)/packWord)), src[from:at]...)
	}
	return append(dst, src[whole:]...)
}

// packed reads what appendPacked wrote, of at most most bytes.
func (r *byteReader) packed(most int) []byte {
	length := r.uvarint()
	if length > uint64(most) {
		r.fail(true)
		return nil
	}
	out := make([]byte, 0, min(int(length), packWord*packMost))
	for int(length)-len(out) >= packWord {
		zero, kept := int(r.byte()), int(r.byte())
		if r.bad || zero+kept == 0 || (zero+kept)*packWord > int(length)-len(out) {
			r.fail(true)
			return nil
		}
		out = append(out, make([]byte, zero*packWord)...)
		out = append(out, r.take(kept*packWord)...)
	}
	return append(out, r.take(int(length)-len(out))...)
}
