// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"encoding/json"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A sheet is what the template sees.
type sheet struct {
	*Visit
	language *language
}

// Dir is the writing direction.
func (s *sheet) Dir() string { return s.language.dir }

// Style and Script are the page's own, as the policy knows them.
func (s *sheet) Style() template.HTML { return template.HTML("<style>" + style + "</style>") }

// Script is there only where something was done that the browser's web storage has to
// follow.
func (s *sheet) Script() template.HTML { return template.HTML("<script>" + script + "</script>") }

// A tongue is a language to choose.
type tongue struct {
	Tag, Name string
	Current   bool
}

// Tongues are the languages.
func (s *sheet) Tongues() (all []tongue) {
	for _, tag := range Languages {
		all = append(all, tongue{tag, names[tag], tag == s.Lang})
	}
	return all
}

// A fact is one line of the list of what is held. Of its values the one that is there
// is shown.
type fact struct {
	Key  string
	Text string
	Time time.Time
}

// Facts are what the state holds beside its lists.
func (s *sheet) Facts() []fact {
	v, j := &s.Held.Visitor, &s.Held.Journey
	all := []fact{{Key: "id", Text: v.ID}}
	add := func(key, text string) {
		if text != "" && text != "0" {
			all = append(all, fact{Key: key, Text: text})
		}
	}
	at := func(key string, t time.Time) {
		if !t.IsZero() {
			all = append(all, fact{Key: key, Time: t})
		}
	}
	number := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	if v.Customer {
		add("customer", s.language.texts["yes"])
	}
	at("first", v.First)
	at("last", v.Last)
	add("visits", number(v.Visits))
	at("previous", v.Previous)
	at("started", v.Started)
	add("stage", s.language.word("stage."+j.Stage, j.Stage))
	add("intent", s.language.word("intent."+j.Intent, j.Intent))
	add("views", number(uint32(j.Views)))
	add("orders", number(j.Orders))
	at("firstOrder", j.FirstOrder)
	at("lastOrder", j.LastOrder)
	at("complaint", j.Complaint)
	at("settled", j.Settled)
	add("events", number(uint32(len(s.Held.EventHashes))))
	at("until", v.Until)
	return all
}

// ReceiptFacts are what the state holds of a receipt.
func (s *sheet) ReceiptFacts() ([]fact, error) {
	r := s.Held.Receipt
	if r == nil {
		return nil, nil
	}
	granted := []string{}
	for _, name := range r.Purposes {
		text, err := s.language.purposes.Text(name + ".name")
		if err != nil {
			return nil, err
		}
		granted = append(granted, text)
	}
	all := []fact{{Key: "receipt", Text: r.ID}, {Key: "answered", Time: r.At}, {Key: "granted", Text: strings.Join(granted, " · ")}}
	if r.Prompt != "" {
		all = append(all, fact{Key: "prompt", Text: r.Prompt})
	}
	return all, nil
}

// A weighed is something with how much of it counts.
type weighed struct {
	What   string
	Weight float64
	Last   time.Time
}

// Interests are the categories, the heaviest first.
func (s *sheet) Interests() (all []weighed) {
	for _, i := range s.Held.Interests {
		all = append(all, weighed{i.Category, i.Fortnight, i.At})
	}
	return heaviestFirst(all)
}

// Activity is what happened, the most frequent first.
func (s *sheet) Activity() (all []weighed) {
	for _, a := range s.Held.Activity {
		all = append(all, weighed{s.language.word("event."+a.Event, a.Event), a.Fortnight, a.At})
	}
	return heaviestFirst(all)
}

func heaviestFirst(all []weighed) []weighed {
	for i := range all {
		all[i].Weight = math.Round(all[i].Weight*10) / 10
	}
	slices.SortStableFunc(all, func(a, b weighed) int {
		switch {
		case a.Weight > b.Weight:
			return -1
		case a.Weight < b.Weight:
			return 1
		}
		return 0
	})
	return all
}

// Event is an event in words.
func (s *sheet) Event(name string) string { return s.language.word("event."+name, name) }

// A purpose is one line of what is allowed.
type purpose struct {
	Name string
	Now  Basis
}

// Purposes are all eight.
func (s *sheet) Purposes() (all []purpose) {
	for _, row := range consent.Rows() {
		now := s.Allowed[row.Bit]
		if now == "" {
			now = Unknown
		}
		all = append(all, purpose{row.Name, now})
	}
	return all
}

// IsYes reports whether the purpose is granted.
func (p purpose) IsYes() bool { return p.Now == ByAnswer || p.Now == ByNote || p.Now == ByDefault }

// A seen is a field that the rules of a slot saw or did not get.
type seen struct {
	Name, Value string
	Purpose     string // that unlocks it, of one that was withheld
}

// Saw are the fields that a decision's rules saw, each once.
func (s *sheet) Saw(d edge.Decision) (all []seen) {
	for _, saw := range sawOf(d.Why) {
		name := s.language.word("field."+saw.Field, saw.Field)
		if !slices.ContainsFunc(all, func(k seen) bool { return k.Name == name }) {
			all = append(all, seen{Name: name, Value: spellField(saw)})
		}
	}
	return all
}

// Withheld are those that its rules declared and did not get, each once.
func (s *sheet) Withheld(d edge.Decision) (all []seen) {
	for _, kept := range withheldOf(d.Why) {
		name := s.language.word("field."+kept.Field, kept.Field)
		if !slices.ContainsFunc(all, func(k seen) bool { return k.Name == name }) {
			all = append(all, seen{Name: name, Purpose: kept.Purpose})
		}
	}
	return all
}

func sawOf(w *edge.Why) (all []edge.Saw) {
	if w == nil {
		return nil
	}
	for i := range w.Tried {
		all = append(all, w.Tried[i].Saw...)
	}
	if w.Text != nil {
		all = append(all, w.Text.Saw...)
	}
	return all
}

func withheldOf(w *edge.Why) (all []edge.Withheld) {
	if w == nil {
		return nil
	}
	for i := range w.Tried {
		all = append(all, w.Tried[i].Withheld...)
	}
	if w.Text != nil {
		all = append(all, w.Text.Withheld...)
	}
	return all
}

// spellField writes a field's value; a moment is a number in it.
func spellField(saw edge.Saw) string {
	if f, ok := edge.FieldByName(saw.Field); ok && f.Type == edge.TypeTime {
		if millis, err := strconv.ParseInt(string(saw.Value), 10, 64); err == nil {
			return time.UnixMilli(millis).UTC().Format("2006-01-02 15:04")
		}
	}
	return spell(saw.Value)
}

// maxSpelled bounds a value on the page, in bytes.
const maxSpelled = 200

// spell writes a value as people do: a text without quotes, a list with commas, a map
// with its entries.
func spell(raw json.RawMessage) string {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return ""
	}
	text := spelled(value)
	if len(text) > maxSpelled {
		text = strings.ToValidUTF8(text[:maxSpelled], "") + "…"
	}
	return text
}

func spelled(value any) string {
	var parts []string
	switch value := value.(type) {
	case string:
		return value
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case []any:
		for _, part := range value {
			parts = append(parts, spelled(part))
		}
	case map[string]any:
		if id, ok := value["id"].(string); ok { // an item
			return id
		}
		for key, part := range value {
			parts = append(parts, key+" "+spelled(part))
		}
		slices.Sort(parts)
	default:
		text, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		return string(text)
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, ", ")
}

// failures are what is said where something was not done, by the stable code.
var failures = map[string]string{
	"unavailable": "fail.later", "no_state": "fail.nothing", "bad_state": "fail.nothing", "erased": "fail.erased",
}

// Failure is what is said of Failed.
func (s *sheet) Failure() string {
	if key := failures[s.Failed]; key != "" {
		return key
	}
	return "fail.other"
}

// Has reports whether there is a state that is open.
func (s *sheet) Has() bool { return s.Note == OpenNote }

// IsUnread reports whether there is one that cannot be opened, IsErased whether there
// is one of before the visitor was erased.
func (s *sheet) IsUnread() bool { return s.Note == UnreadNote }
func (s *sheet) IsErased() bool { return s.Note == ErasedNote }

// time writes a moment to the minute, in UTC, as the page says above it.
func (l *language) time(t time.Time) template.HTML {
	if t.IsZero() {
		return template.HTML(template.HTMLEscapeString(l.texts["none"]))
	}
	return template.HTML("<time>" + t.UTC().Format("2006-01-02 15:04") + "</time>")
}

// whole writes a weight or a price without needless zeros.
func (l *language) whole(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
