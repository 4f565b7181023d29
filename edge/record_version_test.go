// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// A rewriter reads a record as it is written now and writes it as it was written
// before.
type rewriter struct {
	t       *testing.T
	in, out []byte
	version byte
}

func (w *rewriter) take(n int) []byte {
	b := w.in[:n]
	w.in = w.in[n:]
	return b
}

func (w *rewriter) uvarint() uint64 {
	n, size := binary.Uvarint(w.in)
	w.in = w.in[size:]
	return n
}

func (w *rewriter) copyUvarint() int {
	n := w.uvarint()
	w.out = binary.AppendUvarint(w.out, n)
	return int(n)
}

func (w *rewriter) copy(n int) { w.out = append(w.out, w.take(n)...) }
func (w *rewriter) copySized() { w.copy(w.copyUvarint()) }
func (w *rewriter) sized(b []byte) {
	w.out = append(binary.AppendUvarint(w.out, uint64(len(b))), b...)
}

// olderRecord rewrites a record of a release as version 2 or 1 had it: the latter
// with fewer built-in fields, which it did not tell.
func olderRecord(t *testing.T, record []byte, version byte, doc *edge.ReleaseDocument) []byte {
	t.Helper()
	w := &rewriter{t: t, in: record[1:], out: []byte{version}, version: version}
	for range 3 { // when, which release, what was granted
		w.copyUvarint()
	}
	builtins := w.uvarint()
	if version > 1 {
		w.out = binary.AppendUvarint(w.out, builtins)
	}
	for range w.copyUvarint() {
		id := string(w.in[1 : 1+w.in[0]])
		w.copySized()
		w.take(8)
		w.out = append(append(w.out, hashOf(t, id, doc)...), make([]byte, 32)...)
	}
	for range w.copyUvarint() {
		w.view()
	}
	for range w.copyUvarint() {
		w.decision()
	}
	if len(w.in) > 0 {
		t.Fatalf("%d bytes of the record are left", len(w.in))
	}
	return w.out
}

// hashOf returns the hash of the module that a record calls id.
func hashOf(t *testing.T, id string, doc *edge.ReleaseDocument) []byte {
	t.Helper()
	text := ""
	if id == "rules" {
		text = doc.Compiled.Hash
	}
	for _, m := range doc.Modules {
		if m.ID() == id {
			text = m.Hash
		}
	}
	hash, err := hex.DecodeString(text)
	if err != nil || len(hash) != 32 {
		t.Fatalf("%s: hash %q, error %v", id, text, err)
	}
	return hash
}

func (w *rewriter) view() {
	const gone = edge.FieldNumber(edge.BuiltinFields - edge.FirstBuiltinFields)
	var mask edge.Mask
	for i := range int(w.take(1)[0]) {
		mask[i] = binary.LittleEndian.Uint64(w.take(8))
	}
	left := int(w.uvarint())
	var view []byte
	for left >= 8 {
		run := w.take(2)
		view = append(view, make([]byte, 8*int(run[0]))...)
		view = append(view, w.take(8*int(run[1]))...)
		left -= 8 * (int(run[0]) + int(run[1]))
	}
	view = append(view, w.take(left)...)
	if w.version == 1 {
		var old edge.Mask
		for n := mask.Next(0); n >= 0; n = mask.Next(n + 1) {
			switch {
			case int(n) < edge.FirstBuiltinFields:
				old = old.With(n)
			case int(n) < edge.BuiltinFields:
				w.t.Fatalf("the view has field %d, which came later", n)
			default:
				old = old.With(n - gone)
			}
		}
		mask, view = old, edgetest.RenumberView(view, edge.FirstBuiltinFields)
	}
	for _, word := range mask {
		w.out = binary.LittleEndian.AppendUint64(w.out, word)
	}
	w.sized(view)
}

func (w *rewriter) decision() {
	w.copySized() // slot
	w.copy(1)     // reason
	for range 3 { // variant, rule, key
		w.copySized()
	}
	for range w.copyUvarint() {
		w.copy(2) // where
		w.copyUvarint()
		w.copyUvarint()
		what := w.take(1)[0]
		w.out = append(w.out, what&0x3f)
		if what&0x80 != 0 {
			w.copy(1)
			w.copyUvarint()
			w.copyUvarint()
		} else {
			w.out = append(w.out, 0, 0, 0)
		}
		if what&0x40 != 0 {
			w.copy(8)
		} else {
			w.out = append(w.out, make([]byte, 8)...)
		}
	}
}

// A record of the version before replays, and still tells a difference.
func TestARecordOfTheSecondVersionReplays(t *testing.T) {
	engine, out, loader := codelessRecord(t, consent.All)
	doc := loader.Doc
	release, _ := engine.Release("shop")
	record := olderRecord(t, out.Record.Bytes(), 2, doc)
	if len(record) <= len(out.Record.Bytes()) {
		t.Errorf("it takes %d bytes, as version 2 %d", len(out.Record.Bytes()), len(record))
	}
	id := out.Decisions[0].ID
	now, err := release.Replay(out.Record.Bytes(), id, decodeRecorded)
	if err != nil {
		t.Fatal(err)
	}
	then, err := release.Replay(record, id, decodeRecorded)
	if err != nil {
		t.Fatal(err)
	}
	if !then.Same || asJSON(t, then) != asJSON(t, now) {
		t.Errorf("version 2 replays to %s, version 3 to %s", asJSON(t, then), asJSON(t, now))
	}
	if !edge.RecordHolds(record, id) || edge.RecordHolds(record, "x"+id) {
		t.Error("the record does not know its decisions' ids")
	}
	at := bytes.Index(record, hashOf(t, "rules", doc))
	record[at]++
	if other, err := release.Replay(record, id, decodeRecorded); err != nil || other.Same {
		t.Errorf("error %v; made of another module it replays as the same", err)
	}
}
