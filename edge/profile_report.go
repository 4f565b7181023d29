// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// A ProfileReport is all that is held of a known person, for people to read.
type ProfileReport struct {
	// Profile is the id that events have, Lot the visitor's id by which the person's
	// lots are drawn, and Linked the visitors that were this person.
	Profile string            `json:"profile"`
	Lot     string            `json:"lot,omitempty"`
	Linked  []string          `json:"linked"`
	Began   time.Time         `json:"began"`
	Seen    time.Time         `json:"seen"`
	Visited time.Time         `json:"visited,omitzero"`
	Kept    time.Time         `json:"keptUntil,omitzero"`
	Tells   []AttributeReport `json:"attributes"`
	Items   []DisclosedItem   `json:"items"`
	// Interests and Activity are what is left of each, by the half-life of fourteen
	// days.
	Interests map[string]float64 `json:"interests"`
	Activity  map[string]float64 `json:"activity"`
	Journey   DisclosedJourney   `json:"journey"`
	Counters  []DisclosedCount   `json:"counters"`
	// Variations are told by hashes alone; the export of a state has the names.
	Variations []DisclosedVariation `json:"variations,omitempty"`
	// EventKeys is how many events are known again when they are sent again.
	EventKeys int `json:"eventKeys"`
}

// An AttributeReport is an Attribute.
type AttributeReport struct {
	Name    string          `json:"name"`
	Value   json.RawMessage `json:"value"`
	Origin  string          `json:"origin"`
	Purpose string          `json:"purpose"`
	At      time.Time       `json:"at"`
	Expires time.Time       `json:"expires,omitzero"`
}

// Report says what is held of a person at a time, if it is kept that long.
func (p *Profile) Report(id ProfileID, now time.Time, keep time.Duration) *ProfileReport {
	r := &ProfileReport{
		Profile: id.String(), Linked: p.Visitors(), Began: p.Began.Time(), Seen: p.Seen.Time(), Visited: p.Visited.Time(),
		Tells: []AttributeReport{}, Items: []DisclosedItem{}, Counters: []DisclosedCount{},
		Interests: map[string]float64{}, Activity: map[string]float64{}, EventKeys: len(p.Counted),
	}
	if p.Lot != ([visitorIDBytes]byte{}) {
		r.Lot = base64.RawURLEncoding.EncodeToString(p.Lot[:])
	}
	if keep > 0 {
		r.Kept = p.Seen.Time().Add(keep)
	}
	for i := range p.Attributes {
		r.Tells = append(r.Tells, p.Attributes[i].report())
	}
	for i := range p.Items {
		r.Items = append(r.Items, p.Items[i].disclose())
	}
	at := minuteOf(now)
	for i := range p.Interests {
		r.Interests[p.Interests[i].Category] = p.Interests[i].value(halfFortnight, at)
	}
	for i := range p.Activity {
		r.Activity[activityNames[p.Activity[i].Event]] = p.Activity[i].value(halfFortnight, at)
	}
	r.Journey = p.Journey.disclose(at)
	for i := range p.Counters {
		r.Counters = append(r.Counters, p.Counters[i].disclose())
	}
	for i := range p.Variations {
		r.Variations = append(r.Variations, p.Variations[i].disclose())
	}
	return r
}

func (a *Attribute) report() AttributeReport {
	out := AttributeReport{
		Name: a.Name, Value: json.RawMessage(a.Value), Origin: Origins[a.Origin], At: time.UnixMilli(a.AtMillis).UTC(),
	}
	if a.Purpose != consent.Purposes(0) {
		out.Purpose = a.Purpose.Names()[0]
	}
	if a.ExpiresMillis != 0 {
		out.Expires = time.UnixMilli(a.ExpiresMillis).UTC()
	}
	return out
}
