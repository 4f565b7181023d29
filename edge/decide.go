// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// ErrUnknownSite reports a beacon of a site without a release.
var ErrUnknownSite = errors.New("unknown site")

// Decide answers one beacon: what was granted, what each slot shows and why,
// which events may be kept, and the visitor's new state. It fails only for an
// unknown site; whatever else goes wrong gives a slot its default.
//
// Out must have been Reset. It borrows from b and r.
func (e *Engine) Decide(b *Beacon, r *Request, out *Outcome) error {
	release, ok := e.Release(b.Site)
	if !ok {
		return ErrUnknownSite
	}
	live, isPreview := release, false
	if r.Preview != "" {
		if p := e.preview(b.Site, r.Preview, release, r.Now); p != nil {
			release, isPreview = p, true
		}
	}
	d := deciders.Get().(*decider)
	defer d.free()

	e.arrive(d, release, b, r, out)
	d.live, d.isPreview = live, isPreview
	d.isPromptOnly = b.Prompt.Answer != 0 && len(b.Events)+len(b.Slots) == 0

	out.surface = d.visit.Surface
	e.openState(d, r, out)
	d.keepReceipt(b, r.Now)
	e.acceptEvents(d, b, r, out)
	e.hearShown(d, b)
	e.know(d, b, r)
	release.fillOwn(&d.visit, d.events, d.untold, d.granted)
	release.fillCounts(&d.visit, d.untold)
	if !r.Ahead {
		e.sealState(d, out)
	}

	if len(d.slots) > 0 {
		e.decideSlots(d, b.Slots, r, out)
	}
	if isPreview {
		return nil // a colleague's look is not counted, recorded or compared
	}
	e.makeRecord(d, r, out)
	d.compareShadows(b.Slots, out.Decisions, r) // what is only compared is not recorded
	e.makeEvents(d, b, r, out)
	e.makeReceipts(d, b, r, out)
	return nil
}

// arrive says what is believed of a page view before the state is read, and what of
// it may be used.
func (e *Engine) arrive(d *decider, release *Release, b *Beacon, r *Request, out *Outcome) {
	place := &d.visit.Place
	*place = e.locator.Locate(r.Addr)
	out.Verdict = e.answers.evaluate(&b.Consent, &release.doc.Settings.Consent,
		consent.Region{Country: place.Country, Subdivision: place.Region}, r.Now)
	d.begin(release, out.Verdict.Granted, b.Why)
	for i := range b.Slots {
		d.slots = append(d.slots, release.slots[b.Slots[i].Name])
	}
	d.visit.begin(b, r)
	d.lang = release.language(orElse(r.PageLang, r.Lang))
	d.visit.Source.Channel = r.Source.ChannelFor(d.granted)
	d.visit.settle(d.granted, release.zone)
}

// decideSlots decides the beacon's slots.
func (e *Engine) decideSlots(d *decider, slots []BeaconSlot, r *Request, out *Outcome) {
	sealing := e.sealer.sealing(sealedDecision, d.release.Site())
	for i, s := range d.slots {
		if at := slices.Index(d.slots[:i], s); s != nil && at >= 0 {
			out.Decisions = append(out.Decisions, out.Decisions[at]) // a page has a slot once
			continue
		}
		out.Decisions = append(out.Decisions, Decision{})
		decision := &out.Decisions[i]
		d.decide(i, &slots[i], r, decision)
		if d.isPreview {
			decision.previewed()
		} else {
			sealing.sign(out, decision, d.release, r.Now)
		}
	}
	sealBuffers.Put(sealing.buf)
}

// A decider is one request's work space: what is of the request, and memory that
// the next one uses again.
type decider struct {
	passing
	visit     Visit
	events    []BeaconEvent   // those of the beacon that were accepted
	late      []BeaconEvent   // those that were refused for their age, and that the state may learn of
	shown     []DecisionID    // of events, by number, what a slot event's token says
	tokens    []byte          // texts of shown
	space     stateSpace      // of the visit's state
	views     []View          // one for each distinct set of fields, shared by rules
	slots     []*slot         // the beacon's, nil for one that the release does not have
	tries     []tried         // what the decisions were made of
	rules     []*boundRule    // that the tries are of, each once
	recall    recall          // of events of other answers, see lately
	backs     []heldBack      // answers that were not shown
	kept      []keptVariation // in place of what weights chose
	promised  []uint32        // keys of the limits that this answer's decisions count against
	shownHere []ShownTimes    // in this document, where the state does not say
	// holding is what the rules without code answer, once they were asked.
	holding holding
}

// passing is what a decider forgets with its request.
type passing struct {
	release   *Release
	live      *Release // release but in a preview; the state is kept by what it counts
	granted   consent.Purposes
	allowed   Mask
	why       bool
	isPreview bool
	values    []Value       // by field number, in place of the visit's, for a sample
	untold    []BeaconEvent // those that the state may not learn of
	key       [16]byte      // see person
	erased    [16]byte      // whose state was dropped, see dropErased
	changed   bool          // the state is not the one the browser carries
	isNew     bool          // there was none before
	knowing   knowing
	// isPromptOnly means that the beacon tells of a prompt and of nothing else.
	isPromptOnly bool
	lang         int    // the language of contents, by number among the site's
	fuel         int64  // spent by the rules so far
	slot         int    // the number of the beacon's slot that is decided
	at           ruleAt // of the rule that is tried
	// explained are the conditions explained so far.
	explained int
	// then is, in a replay, the decision as it was made; it says whom a roll-out
	// reached and which rules could not run. Nil otherwise.
	then *recordedDecision
}

// A ruleAt is where a rule with a module stands among its rung's, counted from 0.
// The rung's rules without code stand at codelessPlace together.
type ruleAt struct{ rung, rule int }

const codelessPlace = 255

// maxDecideFuel is the fuel after which a beacon's remaining rules are not run:
// ten calls that spend all that one may. It is counted
// and not timed, so that a replay stops at the same rule.
const maxDecideFuel = 10_000_000

var deciders = sync.Pool{New: func() any { return &decider{} }}

func (d *decider) begin(release *Release, granted consent.Purposes, why bool) {
	d.release, d.granted = release, granted
	d.allowed = release.allowed[granted]
	d.why = why && release.doc.Settings.Why
	d.changed = false
}

// free gives the work space back without anything of the request in it.
func (d *decider) free() {
	d.passing = passing{}
	d.visit.free()
	clear(d.events)
	clear(d.late)
	d.recall.free()
	clear(d.shown)
	clear(d.tokens)
	d.space.free()
	for i := range d.views {
		d.views[i].free()
	}
	clear(d.slots)
	clear(d.tries)
	clear(d.rules)
	d.holding.free()
	d.late = d.late[:0]
	d.events, d.shown, d.tokens, d.views = d.events[:0], d.shown[:0], d.tokens[:0], d.views[:0]
	d.slots, d.tries, d.rules = d.slots[:0], d.tries[:0], d.rules[:0]
	d.backs, d.kept, d.promised, d.shownHere = d.backs[:0], d.kept[:0], d.promised[:0], d.shownHere[:0]
	deciders.Put(d)
}

// free forgets the visit and keeps the lists' memory.
func (v *Visit) free() {
	clear(v.Own)
	clear(v.Counts)
	own, counts := v.Own[:0], v.Counts[:0]
	*v = Visit{}
	v.Own, v.Counts = own, counts
}

// begin says in a Visit, which is free but for its place, what is believed of a page view
// before the state is read.
func (v *Visit) begin(b *Beacon, r *Request) {
	v.Site, v.Now, v.Lang, v.Surface = b.Site, r.Now, r.Lang, r.Surface
	if v.Surface == "" {
		v.Surface = "web"
	}
	v.Device, v.Ref, v.Source = r.Device, r.Ref, r.Source
	v.ViewportWidth = b.Client.Viewport[0] / 100 * 100
	v.Page = Page{
		ID: b.Page.ID, Host: r.Host, Path: r.Path, Title: b.Page.Title, Type: b.Page.Type,
		Category: b.Page.Category, Item: b.Page.Item, Lang: r.PageLang, Tags: b.Page.Tags,
	}
}

// settle makes the place where the visitor is as precise as was granted, and says what
// time it is there. Without a zone of the place the site's own zone tells the hour.
func (v *Visit) settle(granted consent.Purposes, site *time.Location) {
	v.Place.Coarsen(granted)
	zone := v.Place.Zone
	if zone == nil {
		zone = site
	}
	v.Local = v.Now.In(zone)
}

// decide walks a slot's ladder: the first rung with an answer wins. The page's
// own content is below the last rung, always. Decision is zero before.
func (d *decider) decide(number int, want *BeaconSlot, r *Request, decision *Decision) {
	s := d.slots[number]
	if s == nil {
		decision.Slot, decision.Reason = want.Name, ReasonUnknownSlot
		return
	}
	if d.why {
		decision.Why = &Why{Tried: []Try{}}
	}
	if r.Bot || r.OverQuota {
		decision.Slot, decision.Reason, decision.look = s.name, ReasonBot, s.look
		if !r.Bot {
			decision.Reason = ReasonBudget
		}
		return
	}
	d.slot = number
	d.walk(s, s.ladder, want.Limit, decision)
}

// walk climbs down a slot's ladder to the first rung with an answer, and explains it where
// decision has a Why.
func (d *decider) walk(s *slot, ladder []rung, limit int, decision *Decision) {
	why, obstacle := decision.Why, ReasonDefault
	for i := range ladder {
		best, reason := d.climb(s, &ladder[i], i, why)
		if best != nil {
			d.promise(best)
			d.answer(s, best, limit, decision)
			if why != nil {
				why.Rung = ladder[i].name
			}
			return
		}
		obstacle = worse(obstacle, reason)
	}
	if why != nil {
		why.Rung = "default"
	}
	decision.Slot, decision.Reason, decision.look = s.name, obstacle, s.look
}

// climb runs a rung's rules and returns the best answer, or nil and the reason there
// is none. The answer is as it was when the next rule is tried.
func (d *decider) climb(s *slot, rg *rung, number int, why *Why) (best *tried, obstacle Reason) {
	for i := range rg.rules {
		d.at = ruleAt{number, i}
		rule := d.reached(&rg.rules[i])
		got := d.begins(rule)
		d.try(got)
		if why != nil {
			why.Tried = append(why.Tried, d.explain(rule, rg.name, got.reason))
		}
		best, obstacle = better(best, got), worse(obstacle, got.reason)
	}
	if rg.codeless.any() {
		d.at = ruleAt{number, codelessPlace}
		got := d.begins(&d.release.compiled.bound)
		d.tryCodeless(s, &rg.codeless, got)
		if why != nil {
			why.Tried = append(why.Tried, d.explainCodeless(s, rg)...)
		}
		best, obstacle = better(best, got), worse(obstacle, got.reason)
	}
	return best, obstacle
}

// A tried is one rule's part in a decision, as it is decided by and recorded.
type tried struct {
	slot int // the beacon's, by number
	at   ruleAt
	rule *boundRule
	// winner is the rule whose answer it is, nil when it gave none: rule itself, or
	// of the rules without code, which are tried together, the one that won.
	winner  *boundRule
	variant *variant // the winner's
	reason  Reason
	view    int // of d.views, -1 when the rule did not run
	answer  Answer
}

// begins notes that a rule is tried. What it returns stays readable when others are
// noted, and is to be written before.
func (d *decider) begins(rule *boundRule) *tried {
	d.tries = slices.Grow(d.tries, 1)[:len(d.tries)+1] // free left zeros there
	got := &d.tries[len(d.tries)-1]
	got.slot, got.at, got.rule, got.view = d.slot, d.at, rule, -1
	return got
}

// better returns the better of two answers of one rung: by score, then priority, then
// order. No answer is worse than any.
func better(best, next *tried) *tried {
	if next.winner != nil && (best == nil || next.winner.beats(next.answer.Score, best.winner, best.answer.Score)) {
		return next
	}
	return best
}

// beats reports whether an answer of the rule takes the place of another's.
func (b *boundRule) beats(score int64, best *boundRule, bestScore int64) bool {
	switch {
	case score != bestScore:
		return score > bestScore
	case b.spec.Priority != best.spec.Priority:
		return b.spec.Priority > best.spec.Priority
	}
	return b.order < best.order
}

// try runs one rule on what it declared ∩ what was granted.
func (d *decider) try(got *tried) {
	rule := got.rule
	switch {
	case !d.granted.Has(rule.needs):
		got.reason = ReasonNoConsent
		return
	case !d.rolledOut(rule):
		got.reason = ReasonNoAnswer
		return
	case d.fuel > maxDecideFuel:
		got.reason = ReasonBudget
		return
	case d.then != nil && d.then.notRun(d.at):
		got.reason = ReasonFailed
		return
	}
	got.view = d.view(rule.mask.And(d.allowed))
	answer, err := rule.rule.Choose(&d.views[got.view], rule.role)
	d.fuel += answer.Fuel
	got.answer = answer
	switch {
	case errors.Is(err, ErrNotRun):
		got.view, got.reason = -1, ReasonFailed
	case errors.Is(err, ErrBudget):
		got.reason = ReasonBudget
	case err != nil, answer.Variant < 0, answer.Variant > len(rule.variants):
		got.reason = ReasonFailed
	case answer.Variant == 0, !rule.variants[answer.Variant-1].includes(d.visit.Now):
		got.reason = ReasonNoAnswer
	default:
		v := rule.variants[answer.Variant-1]
		if got.reason = d.holdBack(rule, v, answer.Variant, d.itemsOf(v, answer.Items)); got.reason == ReasonDefault {
			got.winner, got.variant, got.reason = rule, v, ReasonRule
		}
	}
}

// view returns the number of the view of a set of fields, shared by all rules
// that see it.
func (d *decider) view(mask Mask) int {
	for i := range d.views {
		if d.views[i].mask == mask {
			return i
		}
	}
	if len(d.views) == cap(d.views) {
		d.views = append(d.views, View{})
	} else {
		d.views = d.views[:len(d.views)+1]
	}
	at := len(d.views) - 1
	v := &d.views[at]
	v.show(&d.visit, d.values, &mask, d.granted)
	return at
}

// answer makes the decision for the best answer, with at most limit items where a
// rule chose items; 0 is all of them.
func (d *decider) answer(s *slot, best *tried, limit int, decision *Decision) {
	rule, v := best.winner, best.variant
	t := &v.texts[d.lang]
	decision.Slot, decision.Variant, decision.Kind, decision.Lang, decision.Dir = s.name, v.name, s.kind, t.lang, t.dir
	decision.Content, decision.look = t.content, t.look
	rule.explains(decision, t.lang, best.answer.Because) // in the page's language, as far as the site has words
	if items := d.itemsOf(v, best.answer.Items); s.kind == KindItems && len(items) > 0 {
		if may := d.promotable(items); len(best.answer.Items) > 0 || len(may) < len(items) {
			if limit > 0 {
				may = may[:min(limit, len(may))]
			}
			decision.Content = itemsContent(may)
		}
	} else if t.template != nil {
		decision.Content = d.fill(t.template, decision.Why)
	}
}

// itemsOf are the items that a variant shows: those that its rule chose, else those that
// its content lists.
func (d *decider) itemsOf(v *variant, chosen []AnswerItem) []AnswerItem {
	if len(chosen) > 0 || !v.lists {
		return chosen
	}
	return v.texts[d.lang].items
}

// fill returns a template's content with what the visitor granted of the fields it
// names.
func (d *decider) fill(t *template, why *Why) json.RawMessage {
	view := View{visit: &d.visit, values: d.values, mask: t.reads.And(d.allowed), granted: d.granted}
	if why != nil {
		why.Text = &TextWhy{Saw: d.saw(t.reads, &view), Withheld: d.withheld(t.reads)}
	}
	return t.render(&view)
}

// itemsContent is the wire content of a slot of items.
func itemsContent(items []AnswerItem) json.RawMessage {
	out, err := json.Marshal(struct {
		Items []AnswerItem `json:"items"`
	}{items})
	if err != nil {
		return nil // strings only: it does not happen
	}
	return out
}

// obstacles are the reasons why a slot has no answer, those that tell more higher.
var obstacles = [len(reasonNames)]uint8{
	ReasonNoAnswer: 1, ReasonNoConsent: 2, ReasonCapped: 3, ReasonSuppressed: 4, ReasonBudget: 5, ReasonFailed: 6,
}

// worse returns the reason that tells more about why a slot has no answer, ReasonDefault
// where neither is an obstacle.
func worse(a, b Reason) Reason {
	if obstacles[b] > obstacles[a] {
		a = b
	}
	if obstacles[a] == 0 {
		return ReasonDefault
	}
	return a
}
