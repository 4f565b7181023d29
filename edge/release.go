// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// ReleaseSchema is the version of the release document. Members are only
// added; a document of a newer schema is refused.
const ReleaseSchema = 1

// MaxReleaseBytes bounds a release document.
const MaxReleaseBytes = 16 << 20

// A ReleaseDocument is a site's release as JSON: settings, own fields, slots
// with their ladders, variants and the modules they use. YAML files are its
// other spelling.
type ReleaseDocument struct {
	Schema   int        `json:"schema"`
	Site     string     `json:"site"`
	Number   uint64     `json:"number"`
	Settings Settings   `json:"settings"`
	Fields   []OwnField `json:"fields,omitempty"`
	// Audiences are conditions with a name, for rules without code.
	Audiences []Audience  `json:"audiences,omitempty"`
	Campaigns []Campaign  `json:"campaigns,omitempty"`
	Slots     []SlotSpec  `json:"slots"`
	Variants  []Variant   `json:"variants"`
	Modules   []ModuleRef `json:"modules"`
	// Compiled is the module that the rules without code were compiled to, nil
	// without any, and Inputs is what each slot's answer depends on. Publishing
	// sets both; what a document says of them is not believed.
	Compiled *Compiled             `json:"compiled,omitempty"`
	Inputs   map[string]SlotInputs `json:"inputs,omitempty"`
}

// Settings are a site's own settings.
type Settings struct {
	// Origins may send beacons: scheme://host[:port], no path.
	Origins []string `json:"origins"`
	// Languages are the site's languages (BCP 47), the first is the fallback.
	Languages []string `json:"languages"`
	// Currency is ISO 4217; TimeZone is IANA. Both are optional.
	Currency string `json:"currency,omitempty"`
	TimeZone string `json:"timezone,omitempty"`
	// Consent is the site's consent policy; its zero value is the strict one.
	Consent consent.Policy `json:"consent"`
	// Prompts are the versions of the site's consent prompt whose answers are
	// counted, without a trace of who gave them; none as shipped.
	Prompts []string `json:"prompts,omitempty"`
	// RetainDays is how long an event may be read; 0 means DefaultRetainDays.
	// Its bytes leave the disk within hours of when it has been stored that long.
	RetainDays int `json:"retainDays,omitempty"`
	// ProfileDays is how long a known person's profile is kept that nothing touches; 0
	// means DefaultProfileDays.
	ProfileDays int `json:"profileDays,omitempty"`
	// StateEpoch ends what browsers carry: a state that began under a smaller one
	// is dropped, and its visitor starts fresh. Raise it by one.
	StateEpoch uint32 `json:"stateEpoch,omitempty"`
	// Cap bounds all promotions together, Caps those on each surface: the variants
	// that promote items or belong to a campaign that is not transactional.
	Cap  *Cap           `json:"cap,omitempty"`
	Caps map[string]Cap `json:"caps,omitempty"`
	// BoughtDays is for how many days what was bought is not promoted; 0 means
	// DefaultBoughtDays.
	BoughtDays int `json:"boughtDays,omitempty"`
	// Why lets a page ask for an explanation of each decision.
	Why bool `json:"why,omitempty"`
	// SecondPerson lets nobody publish alone: another person must approve.
	SecondPerson bool `json:"secondPerson,omitempty"`
}

// DefaultBoughtDays is for how long what was bought is not promoted when a site
// does not say.
const DefaultBoughtDays = 30

// DefaultRetainDays is how long an event is kept when a site does not say:
// thirteen months, the longest that consent itself may be relied on.
const DefaultRetainDays = 396

// MaxRetainDays is the longest a site may keep events: after it the log itself
// deletes them.
const MaxRetainDays = 400

// An OwnField is a field the site declares beside the built-in ones.
type OwnField struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Purpose unlocks the field: exactly one purpose's name.
	Purpose string `json:"purpose"`
	// Origin says whose data it is: first, second, third or zero (party).
	Origin string `json:"origin"`
	// From says where the value comes from: settings (Value), event (the latest event
	// called Event in the beacon, its property Prop), profile (of a known person, the
	// property Prop of the latest event called Event that the site's servers told), or
	// answer (the property Prop of the latest AnswerEvent, kept in the profile or the
	// visitor's state).
	From  string          `json:"from"`
	Value json.RawMessage `json:"value,omitempty"`
	Event string          `json:"event,omitempty"`
	Prop  string          `json:"prop,omitempty"`
	// ExpireDays is for how long after its event a value from profile or answer is
	// known, 0 for as long as it is kept.
	ExpireDays int `json:"expireDays,omitempty"`
}

// A SlotSpec is a slot as a release document writes it.
type SlotSpec struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	// Ladder holds the slot's rungs, best first. The page's own content is
	// below the last one, always.
	Ladder []RungSpec `json:"ladder"`
}

// A RungSpec is one rung: its rules compete by score, then priority, then
// order.
type RungSpec struct {
	Rung  string     `json:"rung"`
	Rules []RuleSpec `json:"rules"`
}

// Rungs are the names a rung may have, from the fullest knowledge down.
var Rungs = [...]string{"profile", "session", "context"}

// A RuleSpec puts a module's slot role to work in a slot or, where it has a
// Name, is a rule without code.
type RuleSpec struct {
	// Name names a rule without code. It is unique in its slot; Module, Role,
	// Before, Shadow and Settings are then empty.
	Name string `json:"name,omitempty"`
	// When is the rule's condition (docs/RULES.md); empty always holds.
	When string `json:"when,omitempty"`
	// Show is what the rule shows when its condition holds, at least one variant.
	Show []ShowSpec `json:"show,omitempty"`
	// Score is the rule's score as an expression of type int; empty, and unknown,
	// is 0.
	Score string `json:"score,omitempty"`
	// Campaign is the campaign the rule belongs to, if any.
	Campaign string `json:"campaign,omitempty"`
	// Module is the module's name, or its name@version where the release holds
	// several versions of it.
	Module string `json:"module,omitempty"`
	// Role is the manifest's slot the module plays here; the slot's own name
	// when empty.
	Role     string `json:"role,omitempty"`
	Priority int    `json:"priority,omitempty"`
	// Rollout is how many of the 10,000 buckets see the rule; 0 means all. A
	// visitor without an id is in no bucket and sees only full roll-outs. Buckets
	// belong to the slot and the module's name, so a larger share keeps everybody
	// who was in the smaller one, and the next version reaches them first again.
	Rollout int `json:"rollout,omitempty"`
	// Before serves those whom the roll-out does not reach. It has no roll-out,
	// no Before and no shadow of its own.
	Before *RuleSpec `json:"before,omitempty"`
	// Shadow runs the rule beside the live ones and shows nobody its answer: the
	// engine counts how often the slot would show something else if the rule
	// stood in the place of the live one of its module's name.
	Shadow bool `json:"shadow,omitempty"`
	// Settings are handed to the module for this slot; none are the ModuleRef's.
	Settings json.RawMessage `json:"settings,omitempty"`
	// Because says why in words, by language. Where it has none, the rule's
	// own words are shown.
	Because map[string]string `json:"because,omitempty"`
}

// A Variant is one content choice for a slot.
type Variant struct {
	Slot string `json:"slot"`
	Name string `json:"name"`
	// State is draft, review, approved, live or archived; only live is served.
	State string   `json:"state"`
	Owner string   `json:"owner,omitempty"`
	Tags  []string `json:"tags,omitempty"`
	// Promotes are ids of items that it promotes. It is not shown to who has one of
	// them in the cart or bought it lately, nor during an open complaint.
	Promotes []string `json:"promotes,omitempty"`
	// Cap bounds how often it is shown to one visitor.
	Cap *Cap `json:"cap,omitempty"`
	// From and Until bound when it is served, in the site's time zone, as
	// "2006-01-02T15:04"; empty means no bound.
	From  string `json:"from,omitempty"`
	Until string `json:"until,omitempty"`
	// Content holds the content by language. A page in another language gets
	// the nearest: without region, then the site's first language, then the
	// first in order.
	Content map[string]json.RawMessage `json:"content"`
}

// A Release is a site's published snapshot, checked and compiled. It is
// immutable.
type Release struct {
	doc       ReleaseDocument
	zone      *time.Location
	zoneKey   uint32 // as History.CountZone
	retain    time.Duration
	own       []ownField
	ownProps  bool                  // some own field is fed by an event's property
	told      bool                  // some own field comes from profile or answer
	answers   bool                  // some comes from answer
	keep      time.Duration         // of profiles
	allowed   [consent.All + 1]Mask // by granted purposes
	slots     map[string]*slot
	variants  map[string]map[string]*variant // by slot and name
	campaigns map[string]*campaign
	// limit is that of all promotions, surfaceLimits those on a surface.
	limit         *limit
	surfaceLimits map[string]*limit
	boughtFor     Minute
	compiled      *compiledRules // nil without rules without code
	// counting is what the rules without code count; nil where they are not loaded.
	counting    *counting
	weightKeys  []uint32     // keys of the rules that choose by weight
	eventSet    Mask         // fields an event may carry
	eventFields []eventField // the same, by wire name
}

// An ownField is a site's field ready to be filled.
type ownField struct {
	Field
	source      fieldSource
	event, prop string
	origin      string
	fixed       Value
	expire      time.Duration // how long an attribute is known, 0 for ever
}

// A slot is a SlotSpec with its rules bound to modules.
type slot struct {
	name   string
	kind   Kind
	look   string // of a default, see Decision
	ladder []rung
	// candidates are those of the slot's rules without code, by number, weighted the rules
	// among them that choose by weight; number is the slot's in the compiled rules, and
	// reads what they read together.
	candidates []candidate
	weighted   []weighted
	number     int
	reads      Mask
	// shadow is the ladder with the shadow rules in their place, and tally what
	// it would have changed; nil without a shadow rule.
	shadow []rung
	tally  *shadowTally
}

type rung struct {
	name     string
	rules    []boundRule // those with modules
	codeless rungCodeless
}

// A boundRule is a rule ready to run in one slot. One without code has no rule,
// no module and no role: the release's compiled rules run it.
type boundRule struct {
	id       string // name@version; the name of a rule without code
	module   string // its name
	salt     string // of the roll-out's buckets
	rule     Rule
	before   *boundRule // who serves those the roll-out does not reach, or nil
	made     ruleMade
	role     int
	mask     Mask
	needs    consent.Purposes
	spec     RuleSpec
	order    int        // in its rung
	variants []*variant // by the answer's number − 1
	campaign *campaign  // nil without one
	// said are the site's words for why, and wire is that without any; see Decision.cause.
	said []saying
	wire string
}

// A ruleMade is what a rule was made of.
type ruleMade struct {
	madeMark
	module, settings [32]byte // SHA-256; settings is zero without any
}

// A madeMark tells in a decision record what a rule was made of. The release that
// the record is of says it in full.
type madeMark struct {
	id  string
	sum uint64 // see markOf
}

// markOf returns the first bytes of the SHA-256 of a module's hash and that of its
// settings: a record is made with each beacon, and 64 bits tell by far enough.
func markOf(module, settings [32]byte) uint64 {
	sum := sha256.Sum256(slices.Concat(module[:], settings[:]))
	return binary.LittleEndian.Uint64(sum[:])
}

// A variant is a Variant with its content compiled for each of the site's
// languages.
type variant struct {
	name string
	period
	texts    []text // by the number of the site's language
	reads    Mask   // the fields that the texts name
	promotes []string
	lists    bool // its content is of items
	limit    *limit
}

// A text is content in one language.
type text struct {
	lang, dir string
	look      string          // see Decision
	content   json.RawMessage // nil where there is a template
	template  *template       // nil where the text names no field
	items     []AnswerItem    // those that content of kind items lists
}

// Site returns the release's site.
func (r *Release) Site() string { return r.doc.Site }

// Number returns the release's number, from 1.
func (r *Release) Number() uint64 { return r.doc.Number }

// Retain returns how long the site's events are kept, 1 to MaxRetainDays days.
func (r *Release) Retain() time.Duration { return r.retain }

// KeepProfiles returns how long the site's profiles are kept that nothing touches, 1
// to MaxProfileDays days.
func (r *Release) KeepProfiles() time.Duration { return r.keep }

// Languages returns the site's languages, fallback first. It must not be
// changed.
func (r *Release) Languages() []string { return r.doc.Settings.Languages }

// language returns the number of a language among the site's, the first's for one that
// is none of them.
func (r *Release) language(name string) int {
	return max(0, slices.Index(r.doc.Settings.Languages, name))
}

// AllowsOrigin reports whether an origin may send beacons to the site.
func (r *Release) AllowsOrigin(origin string) bool {
	return slices.Contains(r.doc.Settings.Origins, origin)
}

// Document returns the release as JSON.
func (r *Release) Document() []byte {
	out, err := json.Marshal(r.doc)
	if err != nil {
		panic(fmt.Sprintf("release document: %v", err)) // every part of it was decoded from JSON
	}
	return out
}

// field returns a field by number; n is one of the release's.
func (r *Release) field(n FieldNumber) *Field {
	if int(n) < BuiltinFields {
		return &fields[n]
	}
	return &r.own[int(n)-BuiltinFields].Field
}

// fieldNumber returns the number of a field by wire name.
func (r *Release) fieldNumber(name string) (FieldNumber, bool) {
	if f, ok := FieldByName(name); ok {
		return f.Number, true
	}
	for _, f := range r.own {
		if f.Name == name {
			return f.Number, true
		}
	}
	return 0, false
}
