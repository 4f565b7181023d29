// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// A Disclosure is all that a state holds, for the visitor whose it is. As JSON it is
// the export; docs/RIGHTS.md names every member, and a test holds it to that.
// Times are UTC; those that a state keeps as minutes are whole minutes. What is
// empty is left out.
type Disclosure struct {
	// Version is 1. Members are only added.
	Version int              `json:"v"`
	Site    string           `json:"site"`
	Visitor DisclosedVisitor `json:"visitor"`
	Receipt *DisclosedGrant  `json:"receipt,omitempty"`
	Journey DisclosedJourney `json:"journey"`
	// Items are those looked at, in the cart or bought, the latest last.
	Items     []DisclosedItem     `json:"items,omitempty"`
	Interests []DisclosedInterest `json:"interests,omitempty"`
	// Activity is what happened how often lately.
	Activity []DisclosedActivity `json:"activity,omitempty"`
	Counts   []DisclosedCount    `json:"counts,omitempty"`
	// CountZone is a hash of the name of the time zone that Counts go by.
	CountZone uint32           `json:"countZone,omitempty"`
	Shown     []DisclosedShown `json:"shown,omitempty"`
	// Variations are the variants that were seen, of rules that choose by weight.
	Variations []DisclosedVariation `json:"variations,omitempty"`
	// Person is who the browser was told to be, nil for nobody, and Tells is what its
	// visitor said.
	Person *DisclosedPerson  `json:"person,omitempty"`
	Tells  []AttributeReport `json:"tells,omitempty"`
	// EventHashes are of the ids of the latest events that were learned of.
	EventHashes []uint32 `json:"eventHashes,omitempty"`
	// Profile is what the site holds about a known customer, where it is asked.
	Profile json.RawMessage `json:"profile,omitempty"`
}

// A DisclosedVisitor is who the state is of, and when they were here.
type DisclosedVisitor struct {
	ID string `json:"id"`
	// Customer says that the id is a hash of a customer's, which the site named.
	Customer bool      `json:"customer,omitempty"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Visits   uint32    `json:"visits"`
	Session  string    `json:"session"`
	// Started is when the session began, Previous when the one before it ended.
	Started  time.Time `json:"started"`
	Previous time.Time `json:"previous,omitzero"`
	// Until is when the state is given up if nobody comes before that.
	Until time.Time `json:"until"`
	Epoch uint32    `json:"epoch,omitempty"`
}

// A DisclosedPerson is the known person that a browser is of.
type DisclosedPerson struct {
	// ID is a hash of the site's own id of the person.
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
	// Edition counts the profile's changes that the state has followed.
	Edition uint32 `json:"edition"`
}

// A DisclosedGrant is the receipt of the latest grant through a prompt.
type DisclosedGrant struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Purposes []string  `json:"purposes"`
	Prompt   string    `json:"prompt,omitempty"`
}

// A DisclosedJourney is what the visitor's stage follows from, and the stage.
type DisclosedJourney struct {
	Stage string `json:"stage"`
	// Views counts products looked at, 255 at most.
	Views    uint8 `json:"views,omitempty"`
	Compared bool  `json:"compared,omitempty"`
	// Intent is what was begun, cart or form, and IntentAt when it last got on.
	Intent     string    `json:"intent,omitempty"`
	IntentAt   time.Time `json:"intentAt,omitzero"`
	Orders     uint32    `json:"orders,omitempty"`
	FirstOrder time.Time `json:"firstOrder,omitzero"`
	LastOrder  time.Time `json:"lastOrder,omitzero"`
	// Complaint is since when one is open, Settled when the last was settled.
	Complaint time.Time `json:"complaint,omitzero"`
	Settled   time.Time `json:"settled,omitzero"`
}

// A DisclosedItem is one item of the history.
type DisclosedItem struct {
	ID       string    `json:"id"`
	Category string    `json:"category,omitempty"`
	Viewed   time.Time `json:"viewed,omitzero"`
	Bought   time.Time `json:"bought,omitzero"`
	// Quantity is how many are in the cart since Cart, at Price each. Where Cart is
	// there and Quantity is not, it was taken out then.
	Quantity uint8     `json:"quantity,omitempty"`
	Cart     time.Time `json:"cart,omitzero"`
	Price    float64   `json:"price,omitempty"`
}

// A DisclosedWeight is how often something came up, halved every hour, day and
// fourteen days, as it was at At, to hundredths.
type DisclosedWeight struct {
	At        time.Time `json:"at"`
	Hour      float64   `json:"hour"`
	Day       float64   `json:"day"`
	Fortnight float64   `json:"fortnight"`
}

// A DisclosedInterest is a category with its weight.
type DisclosedInterest struct {
	Category string `json:"category"`
	DisclosedWeight
}

// A DisclosedActivity is an event with its weight.
type DisclosedActivity struct {
	Event string `json:"event"`
	DisclosedWeight
}

// A DisclosedCount is how often an event happened, by day (2006-01-02) in the site's
// time zone. Since is the first day that was counted whole, "" for all of them.
type DisclosedCount struct {
	Event string         `json:"event"`
	Since string         `json:"since,omitempty"`
	Days  []DisclosedDay `json:"days"`
}

// A DisclosedDay is how often an event happened on one day.
type DisclosedDay struct {
	Day   string `json:"day"`
	Count uint32 `json:"count"`
}

// A DisclosedShown is when something that is capped was shown: "variant hero/spring",
// "campaign autumn", "surface web", "all", or "" where the site caps it no more.
type DisclosedShown struct {
	What  string      `json:"what"`
	Hash  uint32      `json:"hash"` // by which the state knows it
	Times []time.Time `json:"times"`
}

// A DisclosedVariation is a variant that was seen of a rule that chooses by weight, for
// the first time At: "red" of "hero/spring", each "" where that is not known: in a profile's report, or
// where the site has no such rule or variant any more.
type DisclosedVariation struct {
	Rule    string    `json:"rule"`
	Variant string    `json:"variant"`
	At      time.Time `json:"at"`
	// Hash and VariantHash are what the state knows the two by.
	Hash        uint32 `json:"hash"`
	VariantHash uint32 `json:"variantHash"`
}

// OpenState returns the state that a browser of a site's visitor carries, also one
// that is too old to be used: it is held all the same. The error says nothing of
// what was in it.
func (e *Engine) OpenState(site, sealed string) (*State, error) {
	return e.sealer.OpenState(site, sealed)
}

// Disclose tells all that a state of the release's site holds. It borrows from the state.
func (r *Release) Disclose(s *State, now time.Time) *Disclosure {
	d := &Disclosure{
		Version: 1, Site: r.Site(),
		Visitor: DisclosedVisitor{
			ID: s.VisitorID(), Customer: s.Customer, First: s.First.UTC(), Last: s.Last.UTC(), Visits: s.Visits,
			Session: s.SessionID(), Started: s.Started.UTC(), Until: s.until(), Epoch: s.Epoch,
		},
		Journey: s.Journey.disclose(minuteOf(now)), CountZone: s.CountZone, EventHashes: s.Counted,
	}
	if !s.PreviousLast.IsZero() {
		d.Visitor.Previous = s.PreviousLast.UTC()
	}
	if s.Receipt.ID != "" {
		d.Receipt = &DisclosedGrant{s.Receipt.ID, s.Receipt.At.Time(), s.Receipt.Purposes.Names(), s.Receipt.Prompt}
	}
	for i := range s.Items {
		d.Items = append(d.Items, s.Items[i].disclose())
	}
	for i := range s.Interests {
		d.Interests = append(d.Interests, DisclosedInterest{s.Interests[i].Category, s.Interests[i].disclose()})
	}
	for i := range s.Activity {
		d.Activity = append(d.Activity, DisclosedActivity{activityNames[s.Activity[i].Event], s.Activity[i].disclose()})
	}
	for i := range s.Counters {
		d.Counts = append(d.Counts, s.Counters[i].disclose())
	}
	if len(s.Shown) > 0 {
		names := r.capNames()
		for i := range s.Shown {
			d.Shown = append(d.Shown, s.Shown[i].disclose(names))
		}
	}
	d.Variations = r.discloseVariations(s.Variations)
	if s.Known.is() {
		d.Person = &DisclosedPerson{s.Known.Profile.String(), s.Known.Since.Time(), s.Known.Edition}
	}
	for i := range s.Attributes {
		d.Tells = append(d.Tells, s.Attributes[i].report())
	}
	return d
}

// shownID is how much of an id is enough to tell it from others and not enough to be
// found by.
const shownID = 6

// HideIDs shortens the ids of the visitor, the session and the person: a page's scripts may read
// what they get, and the cookie hides the ids from them.
func (d *Disclosure) HideIDs() {
	d.Visitor.ID = d.Visitor.ID[:min(len(d.Visitor.ID), shownID)] + "…"
	d.Visitor.Session = d.Visitor.Session[:min(len(d.Visitor.Session), shownID)] + "…"
	if d.Person != nil {
		d.Person.ID = d.Person.ID[:min(len(d.Person.ID), shownID)] + "…"
	}
}

// until is when the state is given up if nobody comes before that.
func (s *State) until() time.Time {
	until := s.Last.Add(StateMaxAge)
	if end := s.First.Add(StateMaxLife); end.Before(until) {
		until = end
	}
	return until.UTC()
}

func (j *Journey) disclose(now Minute) DisclosedJourney {
	return DisclosedJourney{
		Stage: j.stage(now).String(), Views: j.Views, Compared: j.Compared,
		Intent: intentNames[j.Intent], IntentAt: j.IntentAt.Time(),
		Orders: j.Orders, FirstOrder: j.FirstOrder.Time(), LastOrder: j.LastOrder.Time(),
		Complaint: j.Complaint.Time(), Settled: j.Settled.Time(),
	}
}

func (i *StateItem) disclose() DisclosedItem {
	return DisclosedItem{
		ID: i.ID, Category: i.Category, Viewed: i.Viewed.Time(), Bought: i.Bought.Time(),
		Quantity: i.Quantity, Cart: i.Cart.Time(), Price: float64(i.Cents) / 100,
	}
}

func (d *Decayed) disclose() DisclosedWeight {
	value := func(life int) float64 { return math.Round(float64(d.Values[life])*100) / 100 }
	return DisclosedWeight{d.At.Time(), value(halfHour), value(halfDay), value(halfFortnight)}
}

func (c *EventCount) disclose() DisclosedCount {
	out := DisclosedCount{Event: c.Event, Days: []DisclosedDay{}}
	if c.From > 0 {
		out.Since = c.From.String()
	}
	for _, d := range c.Days {
		out.Days = append(out.Days, DisclosedDay{d.Day.String(), d.Count})
	}
	return out
}

// String returns the day as 2006-01-02.
func (d Day) String() string {
	return time.Unix(int64(d)*24*60*60, 0).UTC().Format(time.DateOnly)
}

func (s *ShownTimes) disclose(names map[uint32]string) DisclosedShown {
	out := DisclosedShown{What: names[s.Key], Hash: s.Key, Times: []time.Time{}}
	for _, at := range s.At[:s.Count] {
		out.Times = append(out.Times, at.Time())
	}
	return out
}

func (r *Release) discloseVariations(list []Variation) (out []DisclosedVariation) {
	for _, v := range list {
		told := v.disclose()
		if s, w := r.weightedOf(v.Rule); w != nil {
			told.Rule = s.name + "/" + w.id
			if n := s.candidateOf(w, v.Variant); n >= 0 {
				told.Variant = s.candidates[n].variant.name
			}
		}
		out = append(out, told)
	}
	return out
}

// capNames are the names of what the release caps, by the keys in states.
func (r *Release) capNames() map[uint32]string {
	names := map[uint32]string{}
	add := func(l *limit, name string) {
		if l != nil {
			names[l.key] = name
		}
	}
	for slot, variants := range r.variants {
		for name, v := range variants {
			add(v.limit, fmt.Sprintf("variant %s/%s", slot, name))
		}
	}
	for name, c := range r.campaigns {
		add(c.limit, "campaign "+name)
	}
	for surface, l := range r.surfaceLimits {
		add(l, "surface "+surface)
	}
	add(r.limit, "all")
	return names
}
