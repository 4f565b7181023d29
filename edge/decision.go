// SPDX-License-Identifier: Apache-2.0

package edge

import "encoding/json"

// A Reason says why a slot shows what it shows. The list is closed.
type Reason uint8

// The reasons. The zero value is ReasonDefault.
const (
	ReasonDefault     Reason = iota // the slot has no rule
	ReasonRule                      // a rule chose the variant
	ReasonExperiment                // an experiment assigned the variant
	ReasonHoldout                   // the visitor is held out
	ReasonNoConsent                 // what the rules need was refused
	ReasonNoAnswer                  // every rule ran and none chose
	ReasonFailed                    // a rule failed
	ReasonBudget                    // a rule spent its budget, or the site its quota
	ReasonCapped                    // shown often enough
	ReasonSuppressed                // must not be promoted now
	ReasonUnknownSlot               // the release has no such slot
	ReasonBot                       // a crawler gets the default
	ReasonPreview                   // somebody looks at a draft
)

var reasonNames = [...]string{
	"default", "rule", "experiment", "holdout", "no-consent", "no-answer", "failed",
	"budget", "capped", "suppressed", "unknown-slot", "bot", "preview",
}

// String returns the reason as the wire and documents spell it.
func (r Reason) String() string { return reasonNames[r] }

// A Decision is the answer for one slot. Its strings belong to the release or
// to the request.
type Decision struct {
	// ID is a signed token that names what was decided; see DecisionID.
	ID      string
	Slot    string
	Variant string // "" for a default
	Kind    Kind   // KindDefault for a default
	Lang    string // language of the content, "" without content
	Dir     string // "ltr" or "rtl"; "" without content
	Reason  Reason
	Rule    string // "name@version", the name of a rule without code, "" without one
	// Campaign is the rule's, "" without one. The tag does not learn it.
	Campaign string
	Because  string // the reason in words, possibly empty
	// Content is the variant's content for Lang as JSON, nil for a default.
	Content json.RawMessage
	// Why is the explanation, nil unless it was asked for and allowed.
	Why *Why

	// look and cause are what AppendJSON writes of the members above in two parts, where
	// that was made when the release was published: up to Dir, and from Reason to Because.
	look, cause string
}

// A Why explains a decision: what was tried in which order, what each rule saw
// and what was withheld from it.
type Why struct {
	Rung  string `json:"rung"`
	Tried []Try  `json:"tried"`
	// Text is what the shown text saw, nil where it names no field.
	Text *TextWhy `json:"text,omitempty"`
}

// A TextWhy says which fields a text that names some was filled from. Where one
// is missing or withheld, the text shows its fallback.
type TextWhy struct {
	Saw      []Saw      `json:"saw"`
	Withheld []Withheld `json:"withheld"`
}

// A Try is one rule's part in a decision. Of a rung's rules those with modules
// come first.
type Try struct {
	Rule   string `json:"rule"`
	Rung   string `json:"rung"`
	Reason string `json:"reason"`
	// Outside is what keeps a rule without code from answering whatever its
	// condition says: campaign or variant, which is not live now, or share, which
	// the visitor is not in; "" for nothing.
	Outside string `json:"outside,omitempty"`
	// Score is that of a rule without code whose condition held.
	Score int64 `json:"score,omitempty"`
	// Needs are the purposes without which a module does not run, and those that
	// unlock what a rule without code reads.
	Needs    uint32     `json:"needs"`
	Saw      []Saw      `json:"saw"`
	Withheld []Withheld `json:"withheld"`
	// Condition is what became of the condition of a rule without code.
	Condition *Condition `json:"condition,omitempty"`
}

// A Saw is a field a rule saw, with its value as JSON.
type Saw struct {
	Field string          `json:"field"`
	Value json.RawMessage `json:"value"`
}

// A Withheld is a field that a rule declared and did not get because its
// purpose is not granted.
type Withheld struct {
	Field   string `json:"field"`
	Purpose string `json:"purpose"`
}
