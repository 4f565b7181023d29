// SPDX-License-Identifier: Apache-2.0

//go:build wasip1

// Command echo says what it was given. Its slots are those of ../manifest.json; the C
// echo does the same. It is built together with the two files of sdk/go.
package main

import (
	"os"
	"unsafe"
)

var (
	ownText    = Own[TextField](0)
	ownNumber  = Own[IntField](1)
	ownAmount  = Own[FloatField](2)
	ownFlag    = Own[BoolField](3)
	ownSince   = Own[IntField](4)
	ownList    = Own[ListField](5)
	ownThings  = Own[ItemsField](6)
	ownWeights = Own[MapField](7)

	calls, counts int64
)

const settingsMax = 256

var _ = OnSettings(func() {
	if len(settings) > settingsMax {
		panic("too long")
	}
})

// values says one value after the other and counts those that are present.
type values struct {
	out           Output
	said, present int64
}

// next starts a value: "-" when it is absent.
func (v *values) next(ok bool) bool {
	if v.said++; v.said > 1 {
		v.out.Put("|")
	}
	if !ok {
		v.out.Put("-")
		return false
	}
	v.present++
	return true
}

func (v *values) text(s string, ok bool) {
	if v.next(ok) {
		v.out.Put(s)
	}
}

func (v *values) integer(n int64, ok bool) {
	if v.next(ok) {
		v.out.PutInt(n)
	}
}

func (v *values) float(x float64, ok bool) {
	if v.next(ok) {
		thousandths(v.out, x)
	}
}

func (v *values) list(list []string, ok bool) {
	if !v.next(ok) {
		return
	}
	for i, s := range list {
		comma(v.out, i)
		v.out.Put(s)
	}
}

func (v *values) items(list []Item, ok bool) {
	if !v.next(ok) {
		return
	}
	for i, item := range list {
		comma(v.out, i)
		v.out.Put(item.ID).Put("*").PutInt(item.Quantity).Put("@")
		thousandths(v.out, item.Price)
	}
}

func (v *values) numbers(f MapField) {
	if !v.next(f.Has()) {
		return
	}
	i := 0
	for key, number := range f.All() {
		comma(v.out, i)
		v.out.Put(key).Put(":")
		thousandths(v.out, number)
		i++
	}
}

func comma(out Output, i int) {
	if i > 0 {
		out.Put(",")
	}
}

// thousandths says numbers exactly, and short to write in any language.
func thousandths(out Output, x float64) {
	half := 0.5
	if x < 0 {
		half = -half
	}
	out.PutInt(int64(x*1000 + half)).Put("m")
}

func fields() Answer {
	v := values{out: Because()}
	v.text(PagePath.Get())
	v.text(ownText.Get())
	v.list(PageTags.Get())
	v.integer(ownNumber.Get())
	v.text(GeoCountry.Get())
	v.float(ownAmount.Get())
	v.float(GeoLat.Get())
	flag, ok := ownFlag.Get()
	v.integer(map[bool]int64{true: 1}[flag], ok)
	v.integer(ownSince.Get())
	v.list(ownList.Get())
	v.items(ownThings.Get())
	v.numbers(ownWeights)
	return Answer{1, v.present}
}

func saySettings() Answer {
	Because().Put(settings).Put("|").Put(TextSetting("say", Setting("say"))).Put("|").Put(Setting("deep"))
	return Answer{1, 0}
}

func sayTypedSettings() Answer {
	out := Because().Put(TextSetting("text", "-")).Put("|")
	if number := NumberSetting("number", -1e9); number == -1e9 {
		out.Put("-")
	} else {
		thousandths(out, number)
	}
	out.Put("|")
	switch yes, no := BoolSetting("flag", true), BoolSetting("flag", false); {
	case yes != no:
		out.Put("-")
	case yes:
		out.Put("yes")
	default:
		out.Put("no")
	}
	return Answer{1, 0}
}

func chooseItems() Answer {
	list, _ := ownList.Get()
	for _, id := range list {
		Choose(id).Reason("seen").Say("You saw ").Put(id)
	}
	return Answer{1, 0}
}

// grow makes the runtime ask for more memory than a page.
func grow() Answer {
	const bytes = 1 << 18
	kept = make([]byte, bytes)
	for i := 0; i < bytes; i += 4096 {
		kept[i] = 1
	}
	return Answer{1, 2}
}

var kept []byte

// raw writes bytes over the output's first ones.
func raw(b ...byte) { copy(unsafe.Slice((*byte)(unsafe.Pointer(&output)), outputBytes), b) }

// fill writes texts until none fits: the output must end as a whole.
func fill() Answer {
	out := Because()
	for range 200 {
		out.Put("0123456789")
	}
	path, _ := PagePath.Get()
	Choose(path).Say("nothing")
	return Answer{1, 0}
}

const nonsense = 6

func decide(slot int) Answer {
	calls++
	number, known := ownNumber.Get()
	// The host refuses a module that misbehaves on an empty record or on a
	// canary visit. Neither has a value for an own field.
	if slot >= nonsense && !known {
		return NoAnswer
	}
	switch slot {
	case 0:
		return fields()
	case 1:
		return saySettings()
	case 2:
		return Answer{2, number}
	case 3:
		return chooseItems()
	case 4:
		counts++
		return Answer{1, calls + counts - 1}
	case 5:
		return NoAnswer
	case nonsense:
		return Answer{3, 0}
	case 8:
		return grow()
	case 9:
		raw(8, 0, 0, 0, 99, 0, 4, 0, '!', '!', '!', '!') // a tag no version 1 host knows
		Because().Put("known")
		return Answer{1, 0}
	case 10:
		Because().Put("??")
		raw(6, 0, 0, 0, 1, 0, 2, 0, 0xff, 0xfe)
		return Answer{1, 0}
	case 11:
		raw(0x88, 0x13, 0, 0) // 5000
		return Answer{1, 0}
	case 12:
		return fill()
	case 13:
		return sayTypedSettings()
	}
	os.Exit(1) // slot 7: a trap without all that a panic prints
	return Answer{}
}
