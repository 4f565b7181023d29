// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// Limits of caps.
const (
	MaxCapTimes = 16
	MaxCapHours = 90 * 24

	// maxShown is how many caps a site may have, all of which a state counts. Where
	// caps were changed it forgets the one shown longest ago.
	maxShown = 32
	// MaxBeaconShown is how many decisions a beacon may name as shown in this
	// document, for a visitor who lets nothing be kept.
	MaxBeaconShown = 16
)

// A Cap bounds how often something is shown to one visitor: at most Times within
// any Hours hours. What is shown counts once the tag has told of it, which is with
// the first beacon after it was in view for a second. So a visitor who opens pages
// at the same moment may see it once more for each that was answered before the
// others had told.
type Cap struct {
	// Times is 1 to MaxCapTimes, Hours 1 to MaxCapHours.
	Times int `json:"times"`
	Hours int `json:"hours"`
}

// A ShownTimes is when something that is capped was shown, oldest first.
type ShownTimes struct {
	// Key tells what was shown; see capKey.
	Key   uint32
	Count uint8
	At    [MaxCapTimes]Minute // the first Count
}

// A limit is a Cap of a release, ready to be asked.
type limit struct {
	key    uint32
	times  int
	window Minute
}

// The kinds of what is capped.
const (
	capVariant  = "variant/"
	capCampaign = "campaign/"
	capSurface  = "surface/"
	capAll      = "all"
)

func newLimit(c *Cap, kind, name string) *limit {
	if c == nil {
		return nil
	}
	return &limit{eventKey(kind + name), c.Times, Minute(c.Hours * 60)}
}

// count returns how often something was shown in the limit's window. A time that is
// ahead, by another node's clock, is now.
func (l *limit) count(shown []ShownTimes, now Minute) (n int) {
	i := slices.IndexFunc(shown, func(s ShownTimes) bool { return s.Key == l.key })
	if i < 0 {
		return 0
	}
	for _, at := range shown[i].At[:shown[i].Count] {
		if now-min(now, at) <= l.window { // minutes are rounded down: an hour's is sixty to sixty-one
			n++
		}
	}
	return n
}

// add notes that something was shown. Times beyond the limit's are not needed.
func (l *limit) add(shown []ShownTimes, at Minute) []ShownTimes {
	i := slices.IndexFunc(shown, func(s ShownTimes) bool { return s.Key == l.key })
	if i < 0 {
		if len(shown) >= maxShown {
			shown = slices.Delete(shown, oldestShown(shown), oldestShown(shown)+1)
		}
		i = len(shown)
		shown = append(shown, ShownTimes{Key: l.key})
	}
	s := &shown[i]
	if int(s.Count) >= l.times {
		if at <= s.At[0] {
			return shown
		}
		copy(s.At[:], s.At[int(s.Count)-l.times+1:s.Count])
		s.Count = uint8(l.times - 1)
	}
	j := int(s.Count)
	for ; j > 0 && s.At[j-1] > at; j-- {
		s.At[j] = s.At[j-1]
	}
	s.At[j] = at
	s.Count++
	return shown
}

func oldestShown(shown []ShownTimes) (oldest int) {
	last := func(i int) Minute {
		if shown[i].Count == 0 {
			return 0
		}
		return shown[i].At[shown[i].Count-1]
	}
	for i := range shown {
		if last(i) < last(oldest) {
			oldest = i
		}
	}
	return oldest
}

// A campaign is a Campaign ready to take part.
type campaign struct {
	period
	limit         *limit
	quiet         *quietHours
	transactional bool
}

// A quietHours is a time of day, from until (exclusive), in minutes since midnight;
// it may pass midnight.
type quietHours struct{ from, until int }

// includes reports whether a local time falls in the hours.
func (q *quietHours) includes(local time.Time) bool {
	if q == nil || local.IsZero() {
		return false
	}
	now := local.Hour()*60 + local.Minute()
	if q.from <= q.until {
		return now >= q.from && now < q.until
	}
	return now >= q.from || now < q.until
}

// isPromotion reports whether a variant that a rule shows promotes something: it
// names items, or belongs to a campaign that is not transactional.
func isPromotion(c *campaign, v *variant) bool {
	if c != nil && c.transactional {
		return false
	}
	return c != nil || len(v.promotes) > 0
}

// eachLimit calls f with the limits that a variant of a campaign, nil for none,
// counts against on a surface.
func (r *Release) eachLimit(c *campaign, v *variant, surface string, f func(*limit)) {
	if v.limit != nil {
		f(v.limit)
	}
	if c != nil && c.limit != nil {
		f(c.limit)
	}
	if !isPromotion(c, v) {
		return
	}
	if l := r.surfaceLimits[surface]; l != nil {
		f(l)
	}
	if r.limit != nil {
		f(r.limit)
	}
}

// A heldBack is an answer that was not shown, and why. Candidate is a rule's
// variant as a record counts it.
type heldBack struct {
	slot      int
	at        ruleAt
	candidate int
	reason    Reason
}

// holdBack returns why what a rule chose must not be shown now: ReasonSuppressed,
// ReasonCapped, or ReasonDefault for nothing. In a replay it is what it was.
func (d *decider) holdBack(rule *boundRule, v *variant, candidate int, items []AnswerItem) Reason {
	if d.then != nil {
		return d.then.heldBack(d.at, candidate)
	}
	reason := ReasonDefault
	switch {
	case d.isPreview:
	case d.isSuppressed(rule.campaign, v, items):
		reason = ReasonSuppressed
	case d.isCapped(rule.campaign, v):
		reason = ReasonCapped
	}
	if reason != ReasonDefault {
		d.backs = append(d.backs, heldBack{d.slot, d.at, candidate, reason})
	}
	return reason
}

// wasHeldBack returns why an answer of the slot that is decided was held back,
// ReasonDefault for one that was not.
func (d *decider) wasHeldBack(at ruleAt, candidate int) Reason {
	if d.then != nil {
		return d.then.heldBack(at, candidate)
	}
	for i := range d.backs {
		if b := &d.backs[i]; b.slot == d.slot && b.at == at && b.candidate == candidate {
			return b.reason
		}
	}
	return ReasonDefault
}

// isSuppressed reports whether a variant must not be promoted: during an open
// complaint, in its campaign's quiet hours, or of items in the cart or just bought;
// one that shows items, if it may show none of them.
func (d *decider) isSuppressed(c *campaign, v *variant, items []AnswerItem) bool {
	if c != nil && c.quiet.includes(d.localTime()) {
		return true
	}
	if c != nil && c.transactional || !isPromotion(c, v) && len(items) == 0 {
		return false
	}
	if s := d.history(); s != nil && s.Journey.Complaint != 0 {
		return true
	}
	for _, id := range v.promotes {
		if !d.mayPromote(AnswerItem{ID: id}) {
			return true
		}
	}
	return len(items) > 0 && !slices.ContainsFunc(items, d.mayPromote)
}

// localTime is the time of day where the visitor is, as far as that may be known;
// else it is the site's.
func (d *decider) localTime() time.Time {
	if d.values != nil && d.granted.Has(consent.Context) && d.values[FieldHour].Known() {
		return time.Date(1970, 1, 1, int(d.values[FieldHour].Int), 0, 0, 0, time.UTC)
	}
	if d.visit.Local.IsZero() || !d.granted.Has(consent.Context) {
		return d.visit.Now.In(d.release.zone)
	}
	return d.visit.Local
}

// history is what is known of the visitor under personalise, nil for nothing. What
// this beacon did not let the state learn of could only hold back more.
func (d *decider) history() *History {
	if d.visit.State == nil || !d.granted.Has(consent.Storage|consent.Personalise) {
		return nil
	}
	return &d.visit.State.History
}

// mayPromote reports whether an item is neither in the cart nor just bought.
func (d *decider) mayPromote(item AnswerItem) bool {
	if d.values != nil { // a sample
		return !d.granted.Has(consent.Personalise) || !slices.Contains(d.values[FieldBought].List, item.ID) &&
			!slices.ContainsFunc(d.values[FieldCart].Items, func(i Item) bool { return i.ID == item.ID })
	}
	h := d.history()
	if h == nil {
		return true
	}
	now := minuteOf(d.visit.Now)
	for i := range h.Items {
		if known := &h.Items[i]; known.ID == item.ID {
			isBought := known.Bought > 0 && now-min(now, known.Bought) < d.release.boughtFor
			return !isBought && known.Quantity == 0
		}
	}
	return true
}

// promotable returns those of a rule's items that may be promoted.
func (d *decider) promotable(items []AnswerItem) []AnswerItem {
	if d.then != nil || d.isPreview || !slices.ContainsFunc(items, func(i AnswerItem) bool { return !d.mayPromote(i) }) {
		return items
	}
	var out []AnswerItem
	for _, item := range items {
		if d.mayPromote(item) {
			out = append(out, item)
		}
	}
	return out
}

// isCapped reports whether a variant was shown as often as it may be, or is in
// another slot of this answer already.
func (d *decider) isCapped(c *campaign, v *variant) (capped bool) {
	d.release.eachLimit(c, v, d.visit.Surface, func(l *limit) {
		n := d.shownBefore(l)
		for _, key := range d.promised {
			if key == l.key {
				n++
			}
		}
		capped = capped || n >= l.times
	})
	return capped
}

// shownBefore returns how often what a limit is for was shown, as far as the state
// knows and in this document.
func (d *decider) shownBefore(l *limit) int {
	now := minuteOf(d.visit.Now)
	n := l.count(d.shownHere, now)
	if d.visit.State != nil {
		n += l.count(d.visit.State.Shown, now)
	}
	return n
}

// keepsShown reports whether the state learns of impressions.
func (d *decider) keepsShown() bool {
	return d.visit.State != nil && d.granted.Has(consent.Storage|consent.Profile|consent.Measure)
}

// promise notes the limits that a decision of this answer counts against.
func (d *decider) promise(best *tried) {
	d.release.eachLimit(best.winner.campaign, best.variant, d.visit.Surface, func(l *limit) {
		d.promised = append(d.promised, l.key)
	})
}

// learnShown counts an impression against the limits of the live release and
// reports whether there are any.
func (d *decider) learnShown(id *DecisionID, at Minute) (isCounted bool) {
	d.eachLimitOf(id, func(l *limit) {
		d.visit.State.Shown = l.add(d.visit.State.Shown, at)
		isCounted = true
	})
	return isCounted
}

// hearShown counts what the tag says was shown in this document, for a visitor who
// lets nothing of it be kept. It believes only decisions of ours.
func (e *Engine) hearShown(d *decider, b *Beacon) {
	if d.keepsShown() {
		return
	}
	for i, token := range b.Shown {
		if slices.Contains(b.Shown[:i], token) {
			continue
		}
		id, space, err := e.sealer.openDecisionID(d.tokens, b.Site, token)
		d.tokens = space
		if err == nil {
			d.eachLimitOf(&id, func(l *limit) { d.shownHere = l.add(d.shownHere, minuteOf(id.At)) })
		}
	}
}

// eachLimitOf calls f with the limits of the live release that a decision counts
// against.
func (d *decider) eachLimitOf(id *DecisionID, f func(*limit)) {
	if v := d.live.variants[id.Slot][id.Variant]; v != nil {
		d.live.eachLimit(d.live.campaigns[id.Campaign], v, orElse(id.Surface, "web"), f)
	}
}
