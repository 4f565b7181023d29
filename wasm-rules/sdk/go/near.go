// SPDX-License-Identifier: Apache-2.0

//go:build wasip1

// near.go lets a rule module written in Go speak the Nearside rule ABI, version
// 1. It is the whole SDK: this file and near_fields.go, two files of the rule's
// own package, built with the standard toolchain for GOOS=wasip1.
//
//	func decide(slot int) Answer {
//		if device, _ := DeviceType.Get(); device != "phone" {
//			return NoAnswer // the next rule is asked
//		}
//		Because().Put("You are on a phone")
//		return Answer{Variant: 1, Score: 10}
//	}
//
// A value that is absent or that the visitor refused is not there: Get's second
// result is false, and nothing tells the two apart. Nothing a module keeps in
// memory outlives a call: the host puts the memory back. A panic is a trap,
// which costs this answer only. There are no files, no network, no arguments;
// the clock and the random numbers are the same at every call.

package main

import (
	"iter"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

func main() {} // never called: the module is a library

// ---- the module's frame --------------------------------------------------------

// An Answer is what a rule answers: the variant's number in the manifest, from
// 1, and a score of 56 signed bits that orders the answers of one rung.
type Answer struct {
	Variant uint8
	Score   int64
}

// NoAnswer leaves the slot to the next rule.
var NoAnswer = Answer{}

const (
	recordBytes = 16384
	outputBytes = 1024
	ownFields   = 256
)

// The buffers are of words so that they are aligned.
var (
	record   [recordBytes / 8]uint64
	output   [outputBytes / 8]uint64
	own      [ownFields]int32
	settings string
	entry    int // where the header of the open entry is; full after one that did not fit

	takeSettings = func() {}
)

// OnSettings has check called once when the settings are there; it refuses them
// by a panic. Use it as `var _ = OnSettings(check)`.
func OnSettings(check func()) bool {
	takeSettings = check
	return true
}

//go:wasmexport near_in
func nearIn() unsafe.Pointer { return unsafe.Pointer(&record) }

//go:wasmexport near_out
func nearOut() unsafe.Pointer { return unsafe.Pointer(&output) }

//go:wasmexport near_bind
func nearBind(index, number int32) { own[index] = number }

//go:wasmexport near_settings
func nearSettings(_, length int32) { // the address is near_in's
	settings = strings.Clone(textAt(0, int(length)))
	takeSettings()
}

//go:wasmexport near_decide
func nearDecide(slot int32) int64 {
	a := decide(int(slot))
	return a.Score<<8 | int64(a.Variant)
}

// ---- reading fields --------------------------------------------------------------

// A field is its number, as a type that says what it holds. A negative number -n
// is the n-th, from 1, of the manifest's fields that are not built in; the Own
// functions make one from an index.
type (
	TextField  int
	IntField   int // an integer, or a time in milliseconds since 1970
	BoolField  int
	FloatField int
	ListField  int
	ItemsField int
	MapField   int
)

// An Item is one thing of an items field.
type Item struct {
	ID       string
	Quantity int64
	Price    float64
}

// Own returns the field at an index, from 0, of those in the manifest's reads
// that are not built in: Own[TextField](0).
func Own[F ~int](index int) F { return F(-1 - index) }

// slot returns where a field's value begins in the record, 0 if it has none.
func slot(field int) int {
	if field < 0 {
		field = int(own[-1-field])
	}
	fields := int(record[1]&0xffff + record[1]>>16&0xffff)
	if field >= fields || record[2+field>>6]>>(field&63)&1 == 0 {
		return 0
	}
	return 16 + 8*((fields+63)/64+field)
}

func word(at int) uint64 { return record[at/8] }

// reference reads an offset and a count. Inside lists they are aligned to 8 too.
func reference(at int) (offset, count int) {
	w := word(at)
	return int(uint32(w)), int(w >> 32)
}

// textAt returns bytes of the record, which stay there until the call ends.
func textAt(offset, length int) string {
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(&record), offset)), length)
}

func text(at int) string { return textAt(reference(at)) }

// Get returns the text and whether there is one.
func (f TextField) Get() (string, bool) {
	if at := slot(int(f)); at > 0 {
		return text(at), true
	}
	return "", false
}

// Get returns the integer and whether there is one.
func (f IntField) Get() (int64, bool) {
	if at := slot(int(f)); at > 0 {
		return int64(word(at)), true
	}
	return 0, false
}

// Get returns what the field says and whether it says anything.
func (f BoolField) Get() (value, ok bool) {
	at := slot(int(f))
	return at > 0 && word(at) != 0, at > 0
}

// Get returns the number and whether there is one.
func (f FloatField) Get() (float64, bool) {
	if at := slot(int(f)); at > 0 {
		return math.Float64frombits(word(at)), true
	}
	return 0, false
}

// Get returns the texts and whether there is a list; an empty one is one.
func (f ListField) Get() ([]string, bool) {
	at := slot(int(f))
	if at == 0 {
		return nil, false
	}
	first, count := reference(at)
	list := make([]string, count)
	for i := range list {
		list[i] = text(first + 8*i)
	}
	return list, true
}

// Get returns the things and whether there is a list; an empty one is one.
func (f ItemsField) Get() ([]Item, bool) {
	at := slot(int(f))
	if at == 0 {
		return nil, false
	}
	first, count := reference(at)
	list := make([]Item, count)
	for i := range list {
		at := first + 24*i
		list[i] = Item{text(at), int64(word(at + 8)), math.Float64frombits(word(at + 16))}
	}
	return list, true
}

// All returns the numbers by key, sorted by key.
func (f MapField) All() iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		at := slot(int(f))
		if at == 0 {
			return
		}
		first, count := reference(at)
		for i := range count {
			if at := first + 16*i; !yield(text(at), math.Float64frombits(word(at+8))) {
				return
			}
		}
	}
}

// Has reports whether there is a map; an empty one is one.
func (f MapField) Has() bool { return slot(int(f)) > 0 }

// ---- settings --------------------------------------------------------------------

// Setting returns a member of the settings as its JSON, a text with its quotes;
// "" if there is none.
func Setting(key string) string {
	for at := 1; at < len(settings) && settings[at] == '"'; {
		after := skipText(at)
		end := skipValue(after + 1)
		if settings[at+1:after-1] == key {
			return settings[after+1 : end]
		}
		at = end + 1
	}
	return ""
}

// TextSetting returns a setting that is a text, or otherwise. In it ", \ and
// control characters are left escaped.
func TextSetting(key, otherwise string) string {
	if json := Setting(key); len(json) > 1 && json[0] == '"' {
		return json[1 : len(json)-1]
	}
	return otherwise
}

// NumberSetting returns a setting that is a number, or otherwise.
func NumberSetting(key string, otherwise float64) float64 {
	if number, err := strconv.ParseFloat(Setting(key), 64); err == nil {
		return number
	}
	return otherwise
}

// BoolSetting returns a setting that is true or false, or otherwise.
func BoolSetting(key string, otherwise bool) bool {
	switch Setting(key) {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
}

func skipText(at int) int {
	for at++; at < len(settings) && settings[at] != '"'; at++ {
		if settings[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func skipValue(at int) int {
	for depth := 0; at < len(settings); at++ {
		switch c := settings[at]; {
		case depth == 0 && (c == ',' || c == '}'):
			return at
		case c == '"':
			at = skipText(at) - 1
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return at
}

// ---- answering -------------------------------------------------------------------

const (
	tagBecause = 1
	tagItem    = 2
	tagReason  = 3
	tagText    = 4

	full = -1 // what comes after an entry that did not fit would be taken for another item's
)

// An Output appends to the entry that was opened last. What does not fit is left
// out whole.
type Output struct{}

// Because opens the reason in words.
func Because() Output { return open(tagBecause, 0) }

// Choose answers with an item; Reason and Say of what it returns belong to it.
func Choose(id string) Output { return open(tagItem, len(id)).Put(id) }

// Reason opens the reason code of the item chosen last.
func (o Output) Reason(code string) Output { return open(tagReason, 0).Put(code) }

// Say opens the text of the item chosen last.
func (o Output) Say(text string) Output { return open(tagText, 0).Put(text) }

// Put appends a text, whole or not at all.
func (o Output) Put(text string) Output {
	out, end := outputSlice(), outputEnd()
	if end == 4 || entry == full || len(text) > outputBytes-end {
		return o
	}
	copy(out[end:], text)
	putU16(out[entry+2:], end+len(text)-entry-4)
	setOutputEnd(end + len(text))
	return o
}

// PutInt appends a decimal number, whole or not at all.
func (o Output) PutInt(n int64) Output { return o.Put(strconv.FormatInt(n, 10)) }

func open(tag byte, first int) Output {
	out, end := outputSlice(), outputEnd()
	if end > 4 && entry == full {
		return Output{}
	}
	if end+4 > outputBytes || first > outputBytes-end-4 {
		entry = full
		return Output{}
	}
	out[end], out[end+1], out[end+2], out[end+3] = tag, 0, 0, 0
	entry = end
	setOutputEnd(end + 4)
	return Output{}
}

func outputSlice() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&output)), outputBytes) }

// The output begins with how many bytes follow that length.
func outputEnd() int       { return 4 + int(uint32(output[0])) }
func setOutputEnd(end int) { *(*uint32)(unsafe.Pointer(&output)) = uint32(end - 4) }

func putU16(b []byte, n int) { b[0], b[1] = byte(n), byte(n>>8) }
