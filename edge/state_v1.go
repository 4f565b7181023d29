// SPDX-License-Identifier: Apache-2.0

package edge

import "encoding/binary"

// stateVersion1 is the version before counters. Browsers carry such states until
// StateMaxAge after their last visit; the first write makes a new one of them.
const stateVersion1 = 1

// eventVersion1 reads an event as version 1 has it: the price takes 8 bytes, and
// every category stands in full.
func (r *byteReader) eventVersion1() StateEvent {
	e := StateEvent{Key: r.uint32(), At: r.time(), Code: StateCode(r.byte()), Quantity: r.byte()}
	if b := r.take(8); b != nil {
		e.Price = float64(binary.LittleEndian.Uint64(b)) / 100
	}
	e.Item = r.text()
	e.Category = r.text()
	return e
}
