// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

var slotName = regexp.MustCompile(`^[a-z\d-]{1,64}$`)

// validSlot reports whether the tag asks for a slot of that name.
func validSlot(name string) bool { return slotName.MatchString(name) }

// checkSlots looks at each slot of the page and at what was answered for it.
func (x *examination) checkSlots() {
	p := x.page
	for _, name := range unique(p.doc.Framed) {
		x.find("slot-in-frame", fmt.Sprintf("slot %s is in a frame that has no tag of its own", name), "slot", name)
	}
	if len(p.doc.Slots) == 0 {
		x.find("slots-none", "the page has no slot")
		return
	}
	if !p.doc.Styled {
		x.find("style-missing", "the style that hides a slot until it is filled is not there")
	}
	first := map[string]*slot{}
	for i := range p.doc.Slots {
		s := &p.doc.Slots[i]
		if !validSlot(s.Name) {
			x.find("slot-name", fmt.Sprintf("slot %q is asked for in vain", s.Name), "slot", s.Name)
			continue
		}
		if one := first[s.Name]; one != nil {
			x.checkRepeated(one, s)
			continue
		}
		first[s.Name] = s
		x.checkSlot(s)
	}
}

// checkRepeated looks at a second element of a name.
func (x *examination) checkRepeated(first, second *slot) {
	if first.Attrs["data-limit"] != second.Attrs["data-limit"] || first.Attrs["data-item"] != second.Attrs["data-item"] {
		x.find("slot-repeated-differs", fmt.Sprintf("slot %s is there again with another data-limit or data-item, and only the first counts", second.Name), "slot", second.Name)
		return
	}
	x.find("slot-repeated", fmt.Sprintf("slot %s is there more than once: all show the same", second.Name), "slot", second.Name)
}

// checkSlot looks at one slot.
func (x *examination) checkSlot(s *slot) {
	report := SlotReport{Name: s.Name, Shown: line(s.Shown), Height: s.Height}
	known, said := x.node.known[s.Name]
	if said {
		report.Known = &known
		if !known {
			x.find("slot-unknown", fmt.Sprintf("the live release of site %s has no slot %s", x.facts["site"], s.Name), "slot", s.Name)
		} else {
			x.find("slot-known", fmt.Sprintf("the live release has slot %s", s.Name), "slot", s.Name)
		}
	}
	if x.page.inBrowser {
		x.checkBox(s)
		x.checkAnswer(s, &report)
	}
	x.report.Slots = append(x.report.Slots, report)
}

// checkBox looks at a slot's place on the page.
func (x *examination) checkBox(s *slot) {
	selector := "near-slot[name=" + s.Name + "]"
	if s.Attrs["data-slot"] != "" {
		selector = "[data-slot=" + s.Name + "]"
	}
	facts := []string{"slot", s.Name, "selector", selector, "height", strconv.Itoa(s.Height)}
	switch {
	case s.Hidden:
		x.find("slot-hidden", fmt.Sprintf("slot %s cannot be seen", s.Name), facts...)
	case s.Width == 0 || s.Height == 0:
		x.find("slot-empty", fmt.Sprintf("slot %s is %d by %d pixels, so it never counts as seen", s.Name, s.Width, s.Height), facts...)
	case s.Grew != 0:
		x.find("slot-moved", fmt.Sprintf("slot %s changed its height by %+d pixels when it was filled", s.Name, s.Grew), facts...)
	case !s.Reserved:
		x.find("slot-height", fmt.Sprintf("slot %s is as high as its own content, %d pixels: nothing is reserved", s.Name, s.Height), facts...)
	}
}

// checkAnswer says what was asked and answered for a slot.
func (x *examination) checkAnswer(s *slot, report *SlotReport) {
	d, millis := x.answerFor(s.Name)
	report.Asked = d != nil
	if d == nil {
		if x.page.doc.HasTag {
			x.find("slot-not-asked", fmt.Sprintf("slot %s was not asked for, and shows the page's own content", s.Name), "slot", s.Name)
		}
		return
	}
	report.Variant, report.Kind, report.Reason, report.Because = line(d.Variant), line(d.Kind), line(d.Reason), line(d.Because)
	report.AnswerMillis = millis
	seen := fmt.Sprintf("slot %s: %s", s.Name, d.Reason)
	if d.Variant != "" {
		seen += fmt.Sprintf(", variant %s of kind %s", d.Variant, d.Kind)
	}
	if d.Because != "" {
		seen += fmt.Sprintf(" (%s)", d.Because)
	}
	seen += fmt.Sprintf(", answered in %d ms", millis)
	switch {
	case s.Shown == "late":
		x.find("slot-late", seen+", and not shown: it was in view already", "slot", s.Name)
	case d.Reason == "bot":
		x.find("slot-bot", seen+": a headless browser gets the page's own content", "slot", s.Name)
	case d.Variant == "":
		x.find("slot-default", seen+", so the page's own content", "slot", s.Name)
	default:
		x.find("slot-filled", seen, "slot", s.Name)
	}
}

// unique returns a list without repetitions, in its order.
func unique(list []string) []string {
	var once []string
	for _, one := range list {
		if !slices.Contains(once, one) {
			once = append(once, one)
		}
	}
	return once
}
