// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/publishing"
)

// An explainView is a sample visit as a form and what the live release decides
// for it.
type explainView struct {
	Samples  []sampleLink
	Visit    string // the fields as JSON
	Purposes []grantBox
	// Answers is nil before anything was asked.
	Answers []explainedSlot
}

// A sampleLink leads to the explanation of a ready-made visit.
type sampleLink struct {
	Name, Link string
	Current    bool
}

// A grantBox is a purpose that the visitor of a sample allows or not.
type grantBox struct {
	Name    string
	Granted bool
}

// An explainedSlot is a slot's decision with what was tried for it.
type explainedSlot struct {
	edge.SampledDecision
	Rung  string // that answered
	Tried []triedRule
}

// A triedRule is a rule's part in a decision.
type triedRule struct {
	edge.Try
	Chosen bool
}

// samples are the ready-made visits.
var samples = [...]struct {
	name    string // its text is explain.sample.<name>
	granted consent.Purposes
	fields  string
}{
	{"newcomer", consent.Context, newcomerFields},
	{"regular", consent.All &^ (consent.Share | consent.Geo | consent.Device), regularFields},
	{"careful", consent.Storage | consent.Measure | consent.Context, regularFields},
	{"nothing", 0, newcomerFields},
}

const (
	newcomerFields = `{
  "page.path": "/",
  "page.type": "home",
  "lang": "fr",
  "device.type": "phone",
  "geo.country": "FR",
  "geo.city": "Paris",
  "time.hour": 9,
  "time.weekday": 1,
  "source.channel": "search",
  "visitor.returning": false,
  "visitor.visits": 1,
  "recent": [],
  "bought": [],
  "cart": []
}`
	regularFields = `{
  "page.path": "/",
  "page.type": "home",
  "lang": "en",
  "device.type": "desktop",
  "geo.country": "AU",
  "geo.city": "Sydney",
  "time.hour": 20,
  "time.weekday": 6,
  "source.channel": "direct",
  "visitor.id": "a-regular",
  "visitor.returning": true,
  "visitor.visits": 12,
  "visitor.days_since": 2,
  "interests": {"hats": 5, "gloves": 1},
  "counters": {"page_view": 30, "view_item": 6},
  "recent": ["hat-1", "hat-2"],
  "bought": ["gloves-3"],
  "cart": [{"id": "hat-1", "quantity": 1, "price": 38}]
}`
)

// explainPage answers GET /console/sites/{site}/rules/explain, with a ready-made
// visit explained where the address names one.
func (c *Console) explainPage(q *call) error {
	chosen := q.r.URL.Query().Get("sample")
	view := q.newExplainView(chosen, samples[0].fields, samples[0].granted)
	for _, s := range samples {
		if s.name == chosen {
			view = q.newExplainView(chosen, s.fields, s.granted)
			return q.showExplained(view, s.fields, s.granted)
		}
	}
	return q.render("explain", q.newPage(q.say("explain.title"), view))
}

// explainForm answers POST /console/sites/{site}/rules/explain.
func (c *Console) explainForm(q *call) error {
	if err := q.form(); err != nil {
		return err
	}
	granted, err := consent.ParsePurposes(q.r.PostForm["grant"]...)
	if err != nil {
		return badRequest("grant", "a purpose that is none")
	}
	text := q.r.PostForm.Get("visit")
	fields, granted, err := readVisit(text, granted)
	if err != nil {
		p := q.newPage(q.say("explain.title"), q.newExplainView("", text, granted))
		p.Status = http.StatusUnprocessableEntity
		p.Problem = &problem{q.say("explain.unreadable"), "visit", err.Error()}
		return q.render("explain", p)
	}
	return q.showExplained(q.newExplainView("", fields, granted), fields, granted)
}

// readVisit reads a visit: its fields alone, or beside what is granted, which
// then counts in place of the boxes.
func readVisit(text string, boxes consent.Purposes) (fields string, granted consent.Purposes, err error) {
	var whole struct {
		Granted *consent.Set    `json:"granted"`
		Fields  json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		return "", boxes, fmt.Errorf("the visit is no JSON object: %w", err)
	}
	if whole.Fields == nil {
		return text, boxes, nil
	}
	if whole.Granted != nil {
		boxes = consent.Purposes(*whole.Granted)
	}
	var tidy bytes.Buffer
	if err := json.Indent(&tidy, whole.Fields, "", "  "); err != nil {
		return "", boxes, fmt.Errorf("fields: %w", err)
	}
	return tidy.String(), boxes, nil
}

func (q *call) newExplainView(chosen, fields string, granted consent.Purposes) *explainView {
	view := &explainView{Visit: fields}
	for _, s := range samples {
		name := q.say(fmt.Sprintf("explain.sample.%s", s.name))
		view.Samples = append(view.Samples, sampleLink{name, "?sample=" + s.name + "#answers", s.name == chosen})
	}
	for _, row := range consent.Rows() {
		view.Purposes = append(view.Purposes, grantBox{row.Name, granted.Has(row.Bit)})
	}
	return view
}

// showExplained shows what the live release decides for a visit.
func (q *call) showExplained(view *explainView, fields string, granted consent.Purposes) error {
	p := q.newPage(q.say("explain.title"), view)
	visit := &edge.SampleVisit{Granted: consent.Set(granted)}
	err := json.Unmarshal([]byte(fields), &visit.Fields)
	if err != nil {
		err = badRequest("visit", "the fields are no JSON object")
	} else {
		err = q.answer(view, visit)
	}
	if err != nil {
		r := refusalOf(err)
		if r.status >= http.StatusInternalServerError || r.status == http.StatusForbidden {
			return err
		}
		p.Status, p.Problem = r.status, q.problemOf(err)
		if r.Field == "visit" {
			p.Problem.Text = q.say("explain.unreadable")
		}
	}
	return q.render("explain", p)
}

// Verdict is what became of the condition of a rule that did not answer, "" where
// there is none.
func (t triedRule) Verdict() string {
	if t.Condition == nil || t.Reason == edge.ReasonRule.String() {
		return ""
	}
	return t.Condition.Verdict
}

// answer puts what is decided for a visit into a view.
func (q *call) answer(view *explainView, visit *edge.SampleVisit) error {
	explanation, err := q.desk().Explain(q.ctx(), q.actor, q.site, visit, nil)
	if err != nil {
		return err
	}
	view.show(explanation)
	return nil
}

func (view *explainView) show(explanation *publishing.Explanation) {
	for _, decision := range explanation.Decisions {
		slot := explainedSlot{SampledDecision: decision}
		if decision.Why != nil {
			slot.Rung = decision.Why.Rung
			slot.Tried = triedRules(&decision)
		}
		view.Answers = append(view.Answers, slot)
	}
}

// triedRules returns what was tried for a decision, the one that was chosen
// marked.
func triedRules(decision *edge.SampledDecision) []triedRule {
	tried := make([]triedRule, len(decision.Why.Tried))
	for i, t := range decision.Why.Tried {
		tried[i].Try = t
	}
	at := slices.IndexFunc(tried, func(t triedRule) bool {
		return decision.Variant != "" && t.Rule == decision.Rule && t.Rung == decision.Why.Rung
	})
	if at >= 0 {
		tried[at].Chosen = true
	}
	return tried
}
