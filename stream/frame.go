// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A frame is one message of the event log: the events of one site and one
// commit group.
//
//	frame  = version:u8 count:u32 members crc:u32
//	members = event…, packed as a block of S2 if version has framePacked
//	event  = flags:u8 purposes:u32 at:i64 [expires:i64] [visitor:16 bytes]
//	         id name [transaction] json
//	string = length:uvarint bytes
//
// Events of one moment are much alike: packed they take a fraction of the room, on
// disk and in every copy that the server makes of them.
//
// Integers are little-endian, times are milliseconds since the Unix epoch, crc
// is CRC-32C over everything before it. The site is the message's subject and
// the time of arrival the message's time. What has no flag set is not written.
// A flag this version does not know makes the frame unreadable: a new member
// comes with a new version. Version 2 is a frame that was written anew: of an
// event that was erased only the flag flagErased is left, so that the others keep
// their places.
const (
	frameVersion   = 1
	frameRewritten = 2
	framePacked    = 1 << 7 // beside the version of events or records
	frameHeadBytes = 1 + 4
	frameTailBytes = 4
	eventMinBytes  = 1 + 4 + 8 + 5 // flags, purposes, at; three lengths, a byte of id and a byte of JSON
)

const (
	flagExpires = 1 << iota
	flagVisitor
	flagTransaction
	flagErased
	flagsKnown = flagExpires | flagVisitor | flagTransaction
)

// MaxFrameBytes bounds one message of the log. It is well under the server's
// limit of 1 MB and large enough that the disk, not the message, is the cost.
const MaxFrameBytes = 512 << 10

// MaxEventBytes bounds an event's JSON. Everything else of an event is bounded
// by maxTextBytes.
const MaxEventBytes = 256 << 10

// maxTextBytes bounds an id, a name and a transaction id each. A beacon's
// props, where the longest of them comes from, are at most as long.
const maxTextBytes = 8 << 10

// ErrEvent reports an event that no log could keep: its site or id is no
// legal one, or it is larger than MaxEventBytes. Sending it again is useless.
var ErrEvent = errors.New("event cannot be stored")

// errFrame reports bytes that are no frame of a version this program reads.
var errFrame = errors.New("stored frame is damaged")

// errSite reports a site that cannot be one token of a subject.
var errSite = errors.New("site is not words of a-z and 0-9 joined by dashes, at most 64 characters")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkEvent returns ErrEvent, with the reason, for an event that appendEvent
// cannot encode or a subject cannot carry.
func checkEvent(e *edge.Event) error {
	switch {
	case !edge.ValidSite(e.Site()):
		return fmt.Errorf("%w: %w", ErrEvent, errSite)
	case e.ID() == "" || len(e.ID()) > maxTextBytes:
		return fmt.Errorf("%w: id has %d bytes", ErrEvent, len(e.ID()))
	case len(e.Name()) > maxTextBytes || len(e.Transaction()) > maxTextBytes:
		return fmt.Errorf("%w: name or transaction is longer than %d bytes", ErrEvent, maxTextBytes)
	case len(e.JSON()) == 0 || len(e.JSON()) > MaxEventBytes:
		return fmt.Errorf("%w: %d bytes of JSON, 1 to %d are allowed", ErrEvent, len(e.JSON()), MaxEventBytes)
	}
	return nil
}

// eventBytes is the most that appendEvent adds for e.
func eventBytes(e *edge.Event) int {
	return 1 + 4 + 8 + 8 + 16 + 4*binary.MaxVarintLen32 +
		len(e.ID()) + len(e.Name()) + len(e.Transaction()) + len(e.JSON())
}

// newFrame starts a frame in buf's memory; sealFrame or packFrame ends it.
func newFrame(buf []byte, version byte) []byte {
	return append(buf[:0], version, 0, 0, 0, 0)
}

// appendEvent adds e, which checkEvent accepted, to a frame.
func appendEvent(frame []byte, e *edge.Event) []byte {
	flags := len(frame)
	frame = append(frame, 0)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(e.Purposes()))
	frame = binary.LittleEndian.AppendUint64(frame, uint64(e.At().UnixMilli()))
	if !e.Expires().IsZero() {
		frame[flags] |= flagExpires
		frame = binary.LittleEndian.AppendUint64(frame, uint64(e.Expires().UnixMilli()))
	}
	if v := e.Visitor(); v != [16]byte{} {
		frame[flags] |= flagVisitor
		frame = append(frame, v[:]...)
	}
	frame = appendText(frame, e.ID())
	frame = appendText(frame, e.Name())
	if e.Transaction() != "" {
		frame[flags] |= flagTransaction
		frame = appendText(frame, e.Transaction())
	}
	return appendText(frame, e.JSON())
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// sealFrame writes the number of members and the checksum.
func sealFrame(frame []byte, count int) []byte {
	binary.LittleEndian.PutUint32(frame[1:], uint32(count))
	return binary.LittleEndian.AppendUint32(frame, crc32.Checksum(frame, castagnoli))
}

// packFrame seals a frame in room's memory, which frame must not share, with its
// members packed. It returns the frame itself, sealed, where packing would not
// take an eighth off: then nobody should have to unpack it.
func packFrame(room, frame []byte, count int) (packed []byte, isPacked bool) {
	members := frame[frameHeadBytes:]
	most := frameHeadBytes + s2.MaxEncodedLen(len(members)) + frameTailBytes
	room = slices.Grow(room[:0], most)[:most]
	n := len(s2.Encode(room[frameHeadBytes:], members))
	if n > len(members)-len(members)/8 {
		return sealFrame(frame, count), false
	}
	room[0] = frame[0] | framePacked
	return sealFrame(room[:frameHeadBytes+n], count), true
}

// A frameReader reads the events, or records, of one frame after the other. It
// borrows the frame's bytes, and keeps memory for what is packed in them. The
// zero value is ready.
type frameReader struct {
	left   []byte
	more   int  // members still to come
	erased bool // there may be erased ones
	room   []byte
}

// openEvents is open for a frame of events.
func (r *frameReader) openEvents(b []byte) error {
	if len(b) > 0 && b[0]&^framePacked == frameRewritten {
		err := r.open(b, frameRewritten, 1)
		r.erased = true
		return err
	}
	return r.open(b, frameVersion, eventMinBytes)
}

// open checks a frame's version, length and checksum before anything in it is
// read, and unpacks it. A member has minBytes at least. What the frame before
// gave is invalid from here on. The error is an errFrame; next returns false
// after it.
func (r *frameReader) open(b []byte, version byte, minBytes uint64) error {
	r.left, r.more, r.erased = nil, 0, false
	if len(b) < frameHeadBytes+frameTailBytes || len(b) > MaxFrameBytes {
		return fmt.Errorf("%w: %d bytes", errFrame, len(b))
	}
	if b[0]&^framePacked != version {
		return fmt.Errorf("%w: version %d, this program reads %d", errFrame, b[0], version)
	}
	body, sum := b[:len(b)-frameTailBytes], binary.LittleEndian.Uint32(b[len(b)-frameTailBytes:])
	if crc32.Checksum(body, castagnoli) != sum {
		return fmt.Errorf("%w: checksum differs", errFrame)
	}
	count := binary.LittleEndian.Uint32(body[1:])
	members := body[frameHeadBytes:]
	if b[0]&framePacked != 0 {
		var err error
		if members, err = r.unpack(members); err != nil {
			return err
		}
	}
	if uint64(count)*minBytes > uint64(len(members)) {
		return fmt.Errorf("%w: %d members in %d bytes", errFrame, count, len(members))
	}
	r.left, r.more = members, int(count)
	return nil
}

// unpack returns packed members, which are no longer than a frame, in the
// reader's memory.
func (r *frameReader) unpack(packed []byte) ([]byte, error) {
	n, err := s2.DecodedLen(packed)
	if err == nil && n > MaxFrameBytes-frameHeadBytes-frameTailBytes {
		err = s2.ErrTooLarge
	}
	if err == nil {
		r.room = slices.Grow(r.room[:0], n)[:n]
		_, err = s2.Decode(r.room, packed)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: packed members: %w", errFrame, err)
	}
	return r.room, nil
}

// next reads the next event into e, all but the site; of an erased one e is zero.
// It returns false, nil after the last one. e's strings are copies, e.JSON borrows the frame.
func (r *frameReader) next(e *edge.StoredEvent) (bool, error) {
	if r.more == 0 {
		return false, r.end()
	}
	r.more--
	*e = edge.StoredEvent{}
	if r.erased && len(r.left) > 0 && r.left[0] == flagErased {
		r.take(1)
		return true, nil
	}
	head := r.take(1 + 4 + 8)
	if head == nil || head[0]&^flagsKnown != 0 {
		return false, fmt.Errorf("%w: bad event head", errFrame)
	}
	flags := head[0]
	e.Purposes = consent.Purposes(binary.LittleEndian.Uint32(head[1:]))
	e.At = millis(head[5:])
	ok := true
	if flags&flagExpires != 0 {
		if b := r.take(8); b != nil {
			e.Expires = millis(b)
		} else {
			ok = false
		}
	}
	if flags&flagVisitor != 0 {
		ok = copy(e.Visitor[:], r.take(16)) == 16 && ok
	}
	id, okID := r.text(maxTextBytes)
	name, okName := r.text(maxTextBytes)
	ok = ok && okID && okName && len(id) > 0
	if flags&flagTransaction != 0 {
		txn, okTxn := r.text(maxTextBytes)
		e.Transaction, ok = string(txn), ok && okTxn && len(txn) > 0
	}
	json, okJSON := r.text(MaxEventBytes)
	if !ok || !okJSON || len(json) == 0 {
		return false, fmt.Errorf("%w: event is cut short or too long", errFrame)
	}
	e.ID, e.Name, e.JSON = string(id), string(name), json
	return true, nil
}

// end checks that nothing lies behind the last member.
func (r *frameReader) end() error {
	if len(r.left) != 0 {
		return fmt.Errorf("%w: %d bytes after the last member", errFrame, len(r.left))
	}
	return nil
}

// take returns the next n bytes, or nil when there are fewer.
func (r *frameReader) take(n int) []byte {
	if len(r.left) < n {
		r.left = nil
		return nil
	}
	b := r.left[:n:n]
	r.left = r.left[n:]
	return b
}

// text reads a length of at most limit and that many bytes.
func (r *frameReader) text(limit uint64) ([]byte, bool) {
	n, size := binary.Uvarint(r.left)
	if size <= 0 || n > limit || n > uint64(len(r.left)-size) {
		return nil, false
	}
	r.left = r.left[size:]
	return r.take(int(n)), true
}

func millis(b []byte) time.Time {
	return time.UnixMilli(int64(binary.LittleEndian.Uint64(b))).UTC()
}
