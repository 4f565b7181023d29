// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

func sampleEvents() []edge.StoredEvent {
	at := time.UnixMilli(1795305600123).UTC()
	return []edge.StoredEvent{
		{ID: "p1.0", Name: "page_view", Purposes: consent.Measure, At: at, JSON: []byte(`{"v":1}`)},
		{ID: "p1.1", Name: "purchase", Transaction: "T-9", Visitor: [16]byte{15: 7}, Purposes: consent.All, At: at, Expires: at.Add(time.Hour), JSON: []byte(`{"v":1,"name":"purchase"}`)},
		{ID: strings.Repeat("i", 64), At: time.UnixMilli(-5).UTC(), JSON: bytes.Repeat([]byte("x"), MaxEventBytes)},
	}
}

func frameOf(events ...edge.StoredEvent) []byte {
	b := newFrame(nil, frameVersion)
	for _, e := range events {
		e := e.Event()
		b = appendEvent(b, &e)
	}
	return sealFrame(b, len(events))
}

// packed returns a sealed frame with its members packed, whether or not that saves
// anything.
func packed(plain []byte) []byte {
	b := append([]byte{plain[0] | framePacked}, plain[1:frameHeadBytes]...)
	b = append(b, s2.Encode(nil, plain[frameHeadBytes:len(plain)-frameTailBytes])...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func readFrame(b []byte) (out []edge.StoredEvent, err error) {
	var r frameReader
	err = r.open(b, frameVersion, eventMinBytes)
	for err == nil {
		var e edge.StoredEvent
		var more bool
		if more, err = r.next(&e); !more {
			break
		}
		out = append(out, e)
	}
	return out, err
}

func TestFrameKeepsEverythingOfAnEvent(t *testing.T) {
	want := sampleEvents()
	b := frameOf(want...)
	for _, b := range [][]byte{b, packed(b)} {
		got, err := readFrame(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, %v\nwant %+v", got, err, want)
		}
	}
	bound := frameHeadBytes + frameTailBytes
	for _, e := range want {
		e := e.Event()
		bound += eventBytes(&e)
	}
	if len(b) > bound {
		t.Errorf("frame of %d bytes, eventBytes promised at most %d", len(b), bound)
	}
}

// reseal gives changed bytes a right checksum, so that what lies behind the
// checksum is tested.
func reseal(b []byte) []byte {
	body := b[:len(b)-frameTailBytes]
	return binary.LittleEndian.AppendUint32(bytes.Clone(body), crc32.Checksum(body, castagnoli))
}

func TestDamagedFrameIsRefused(t *testing.T) {
	good := frameOf(sampleEvents()[:2]...)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	firstID := frameHeadBytes + 1 + 4 + 8
	withMembers := func(members ...byte) []byte {
		return reseal(append(append([]byte{frameVersion | framePacked, 1, 0, 0, 0}, members...), 0, 0, 0, 0))
	}
	tests := []struct {
		name string
		give []byte
	}{
		{"nothing", nil},
		{"shorter than head and checksum", good[:8]},
		{"cut at the end", good[:len(good)-1]},
		{"cut and sealed again", reseal(good[:len(good)-5])},
		{"a bit turned in the JSON", change(len(good)-8, 'X')},
		{"a newer version", reseal(change(0, 2))},
		{"a newer version, packed", reseal(change(0, 2|framePacked))},
		{"members that are not packed", reseal(change(0, frameVersion|framePacked))},
		{"packed members that are not", reseal(append([]byte{frameVersion}, packed(good)[1:]...))},
		{"nothing packed", withMembers()},
		{"packed members larger than any frame", withMembers(s2.Encode(nil, make([]byte, MaxFrameBytes))...)},
		{"packed members that say they are huge", withMembers(0xff, 0xff, 0xff, 0xff, 0x0f, 0)},
		{"packed members cut short", reseal(append(packed(good)[:40], 0, 0, 0, 0))},
		{"packed, with more events than there are", reseal(packed(change(1, 3)))},
		{"more events than there are", reseal(change(1, 3))},
		{"fewer events than there are", reseal(change(1, 1))},
		{"more events than could fit", reseal(change(4, 0xff))},
		{"an unknown flag", reseal(change(frameHeadBytes, 1<<7))},
		{"an id longer than the frame", reseal(change(firstID, 0x7f))},
		{"an empty id", reseal(change(firstID, 0))},
		{"a length that does not end", reseal(append(bytes.Repeat([]byte{0xff}, 40), good...))},
		{"larger than any frame", make([]byte, MaxFrameBytes+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := readFrame(tt.give); !errors.Is(err, errFrame) {
				t.Errorf("read %d events, error %v, want errFrame", len(got), err)
			}
		})
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(frameOf(sampleEvents()[:2]...))
	f.Add(frameOf(sampleEvents()[0]))
	f.Add(packed(frameOf(sampleEvents()[:2]...)))
	f.Add([]byte{1, 1, 0, 0, 0, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := readFrame(b); err != nil && !errors.Is(err, errFrame) {
			t.Fatalf("error %v is no errFrame", err)
		}
		if len(b) < frameHeadBytes+frameTailBytes {
			return
		}
		b = reseal(b)
		b[0] = frameVersion | b[0]&framePacked
		b = reseal(b)
		events, err := readFrame(b)
		if err != nil {
			return
		}
		again, err := readFrame(frameOf(events...))
		if err != nil || !reflect.DeepEqual(again, events) {
			t.Fatalf("written again: %+v, %v\nwant %+v", again, err, events)
		}
	})
}

// What packing does not make smaller stays as it is, and a reader goes from one
// kind to the other.
func TestFramesArePackedWhereThatSaves(t *testing.T) {
	alike, small := make([]edge.StoredEvent, 20), sampleEvents()[:1]
	for i := range alike {
		alike[i] = sampleEvents()[1]
		alike[i].ID = fmt.Sprint("p", i)
	}
	var r frameReader
	var room []byte
	for _, tt := range []struct {
		events []edge.StoredEvent
		packed bool
	}{{alike, true}, {small, false}, {alike, true}} {
		sealed := frameOf(tt.events...)
		out, isPacked := packFrame(room, sealed[:len(sealed)-frameTailBytes], len(tt.events))
		if isPacked != tt.packed {
			t.Errorf("%d events: packed %v, want %v", len(tt.events), isPacked, tt.packed)
		}
		if isPacked {
			room = out
		}
		if isPacked && 4*len(out) > len(sealed) {
			t.Errorf("%d bytes packed to %d", len(sealed), len(out))
		}
		err := r.open(out, frameVersion, eventMinBytes)
		for i := 0; err == nil; i++ {
			var e edge.StoredEvent
			var more bool
			if more, err = r.next(&e); !more {
				if i != len(tt.events) {
					t.Errorf("read %d events of %d", i, len(tt.events))
				}
				break
			}
			if !reflect.DeepEqual(e, tt.events[i]) {
				t.Errorf("event %d is %+v, want %+v", i, e, tt.events[i])
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func TestPackFrameAllocs(t *testing.T) {
	e := sampleEvents()[1].Event()
	frame := newFrame(nil, frameVersion)
	for range 20 {
		frame = appendEvent(frame, &e)
	}
	var room []byte
	if n := testing.AllocsPerRun(100, func() { room, _ = packFrame(room, frame, 20) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestAppendEventAllocs(t *testing.T) {
	e := sampleEvents()[1].Event()
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = sealFrame(appendEvent(newFrame(buf, frameVersion), &e), 1) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestEventsThatNoLogCanKeepAreRefused(t *testing.T) {
	ok := edge.StoredEvent{Site: "shop", ID: "e1", Name: "page_view", JSON: []byte(`{}`)}
	tests := []struct {
		name   string
		change func(*edge.StoredEvent)
	}{
		{"no site", func(e *edge.StoredEvent) { e.Site = "" }},
		{"a site that would be two words of a subject", func(e *edge.StoredEvent) { e.Site = "a.b" }},
		{"a site that would be a wildcard", func(e *edge.StoredEvent) { e.Site = "*" }},
		{"a site of 65 characters", func(e *edge.StoredEvent) { e.Site = strings.Repeat("s", 65) }},
		{"no id", func(e *edge.StoredEvent) { e.ID = "" }},
		{"an endless id", func(e *edge.StoredEvent) { e.ID = strings.Repeat("i", maxTextBytes+1) }},
		{"an endless name", func(e *edge.StoredEvent) { e.Name = strings.Repeat("i", maxTextBytes+1) }},
		{"an endless transaction", func(e *edge.StoredEvent) { e.Transaction = strings.Repeat("i", maxTextBytes+1) }},
		{"no JSON", func(e *edge.StoredEvent) { e.JSON = nil }},
		{"too much JSON", func(e *edge.StoredEvent) { e.JSON = make([]byte, MaxEventBytes+1) }},
	}
	s := open(t, Options{Dir: t.TempDir()})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := ok
			tt.change(&bad)
			if err := s.Publish([]edge.Event{ok.Event(), bad.Event()}, wait); !errors.Is(err, ErrEvent) {
				t.Errorf("error %v, want ErrEvent", err)
			}
		})
	}
	if got := read(t, s, Query{}); len(got) != 0 {
		t.Errorf("%d events were stored", len(got))
	}
}
