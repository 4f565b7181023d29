// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
)

// TestTheCommittedGuestsAnswerAsBefore calls every guest, plain and rewritten,
// with records of random content.
func TestTheCommittedGuestsAnswerAsBefore(t *testing.T) {
	r := newRuntime(t, wazero.NewRuntimeConfig())
	for name, wasm := range guests(t) {
		t.Run(name, func(t *testing.T) {
			a, b := plain(t, r, wasm), rewritten(t, r, wasm)
			in := start(t, a, "near_in")
			if start(t, b, "near_in") != in || start(t, a, "near_out") != start(t, b, "near_out") {
				t.Fatal("the buffers moved")
			}
			if a.ExportedFunction("near_settings") != nil {
				for _, m := range []*machine{a, b} {
					m.Memory().Write(in, []byte("{}"))
					if _, _, err := m.call("near_settings", muchFuel, muchDepth, uint64(in), 2); err != nil {
						t.Fatal(err)
					}
				}
			}
			random := rand.New(rand.NewPCG(1, 2))
			answers := map[uint64]int{}
			for range 300 {
				record := randomRecord(random)
				a.Memory().Write(in, record)
				b.Memory().Write(in, record)
				b.dirty()
				before := b.bytes()
				want, _, fault := a.call("near_decide", 0, 0, 0)
				got, _, err := b.call("near_decide", muchFuel, muchDepth, 0)
				if (fault == nil) != (err == nil) || err == nil && got[0] != want[0] {
					t.Fatalf("plain %x, %v; rewritten %x, %v", want, fault, got, err)
				}
				if !bytes.Equal(a.bytes(), b.bytes()) {
					t.Fatal("the memories differ")
				}
				b.checkDirty(before, b.dirty())
				if err == nil {
					answers[got[0]]++
				}
			}
			if len(answers) < 2 {
				t.Errorf("every answer was the same: %v", answers)
			}
		})
	}
}

// start calls a function without parameters, as _initialize before it once.
func start(t *testing.T, m *machine, name string) uint32 {
	t.Helper()
	if name == "near_in" && m.ExportedFunction("_initialize") != nil {
		if _, _, err := m.call("_initialize", muchFuel, muchDepth); err != nil {
			t.Fatal(err)
		}
	}
	results, _, err := m.call(name, muchFuel, muchDepth)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(results[0])
}

// randomRecord is a record whose header is right and whose fields hold numbers,
// texts and lists that lie inside it.
func randomRecord(random *rand.Rand) []byte {
	const fields, size = 41, 2048
	b := make([]byte, size)
	for i := range b {
		b[i] = "0123456789abcdefmobile FRDE\x00\x00\x01\x02"[random.IntN(31)]
	}
	copy(b, "NEA1")
	binary.LittleEndian.PutUint32(b[4:], size)
	binary.LittleEndian.PutUint16(b[8:], fields)
	binary.LittleEndian.PutUint16(b[10:], 0)
	binary.LittleEndian.PutUint64(b[16:], random.Uint64()&(1<<fields-1))
	words := []string{"phone", "tablet", "desktop", "FR", "winter", "vip"}
	for i := range fields {
		slot := b[24+8*i:]
		if word := random.IntN(2 * len(words)); word < len(words) {
			at := size - 8*(word+1)
			copy(b[at:], words[word])
			binary.LittleEndian.PutUint32(slot, uint32(at))
			binary.LittleEndian.PutUint32(slot[4:], uint32(len(words[word])))
			continue
		}
		binary.LittleEndian.PutUint32(slot, uint32(random.IntN(size-64)))
		binary.LittleEndian.PutUint32(slot[4:], uint32(random.IntN(4)))
		if random.IntN(3) == 0 {
			binary.LittleEndian.PutUint64(slot, uint64(random.IntN(20)))
		}
	}
	// What lists point to are references as well.
	for at := 24 + 8*fields; at < size-64; at += 8 {
		if random.IntN(2) == 0 {
			binary.LittleEndian.PutUint32(b[at:], uint32(random.IntN(size-64)))
			binary.LittleEndian.PutUint32(b[at+4:], uint32(random.IntN(8)))
		}
	}
	return b
}
