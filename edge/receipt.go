// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// A PromptAnswer is what became of a consent prompt. The zero value is nothing.
type PromptAnswer uint8

// What a prompt tells.
const (
	PromptShown    PromptAnswer = iota + 1 // it came up by itself
	PromptAccepted                         // everything it asks for was granted
	PromptChosen                           // some of it
	PromptRefused                          // nothing
)

var promptAnswers = [...]string{PromptShown: "shown", PromptAccepted: "accepted", PromptChosen: "chosen", PromptRefused: "refused"}

// String returns the word on the wire and in events.
func (a PromptAnswer) String() string {
	if int(a) < len(promptAnswers) {
		return promptAnswers[a]
	}
	return ""
}

// ParsePromptAnswer returns the answer that a word names. It keeps nothing and
// does not allocate.
func ParsePromptAnswer(word []byte) (PromptAnswer, bool) {
	for a := PromptShown; int(a) < len(promptAnswers); a++ {
		if string(word) == promptAnswers[a] {
			return a, true
		}
	}
	return 0, false
}

// The events that consent itself leaves behind. Neither needs a purpose: a receipt
// is the proof of what was agreed, and a count says nothing of anybody.
const (
	// ReceiptEvent is one grant or withdrawal: what is granted since, on whose
	// word, under which policy and which version of the prompt, and whose it is
	// where the visitor has an id.
	ReceiptEvent = "consent_receipt"
	// PromptEvent counts a prompt's answers by version, for a site that asks for
	// it (Settings.Prompts). It has no visitor, session, page, place or device.
	PromptEvent = "consent_prompt"
)

// maxPrompts bounds the versions that a site has counted.
const maxPrompts = 16

// ValidPrompt reports whether version can be that of a prompt.
func ValidPrompt(version string) bool {
	return ValidSite(version) && len(version) <= MaxPromptBytes
}

// isGrant reports whether a prompt's answer granted anything.
func (b *Beacon) isGrant() bool {
	return b.Prompt.Answer == PromptAccepted || b.Prompt.Answer == PromptChosen
}

// keepReceipt has the state remember the receipt of a grant.
func (d *decider) keepReceipt(b *Beacon, now time.Time) {
	if d.visit.State == nil || !d.granted.Has(consent.Storage|consent.Profile) || !b.isGrant() ||
		b.Prompt.ID == "" || len(b.Prompt.ID) > maxReceiptID {
		return
	}
	receipt := StateReceipt{b.Prompt.ID, minuteOf(now), d.granted, b.Prompt.Version}
	d.changed = d.visit.State.Receipt != receipt || d.changed
	d.visit.State.Receipt = receipt
}

// makeReceipts appends what a beacon's prompt leaves behind.
func (e *Engine) makeReceipts(d *decider, b *Beacon, r *Request, out *Outcome) {
	p := &b.Prompt
	if p.Answer == 0 || r.Bot || r.Ahead {
		return
	}
	m := receiptMaker{engine: e, release: d.release, id: p.ID, prompt: p.Version, at: r.Now}
	if slices.Contains(d.release.doc.Settings.Prompts, p.Version) {
		m.count(out, p.Answer)
	}
	if granted := out.Verdict.Granted; granted != 0 && b.isGrant() {
		if !d.isNew { // one that begins with the receipt is nobody's yet
			m.key, m.session = d.person(), d.visit.State
		}
		m.receipt(out, p.Answer.String(), &out.Verdict)
	}
}

// A Withdrawal is the message of a visitor who takes consent back.
type Withdrawal struct {
	Site string
	// Left is what is still granted, as the tag says.
	Left consent.Purposes
	// GPC is true if the browser asks for Global Privacy Control.
	GPC bool
	// State is the sealed state that the browser carried, possibly empty.
	State string
	Now   time.Time
}

// Withdraw makes the receipt of a withdrawal. It says whose it is if the browser
// carried a state, which is read for nothing else. It fails for an unknown site
// only. Out must have been Reset.
func (e *Engine) Withdraw(w *Withdrawal, out *Outcome) error {
	release, ok := e.Release(w.Site)
	if !ok {
		return ErrUnknownSite
	}
	d := deciders.Get().(*decider)
	defer d.free()
	m := receiptMaker{engine: e, release: release, at: w.Now}
	if w.State != "" {
		if state, err := e.sealer.openState(&d.space, w.Site, w.State); err == nil {
			if key := visitorKey(w.Site, state.VisitorID()); !e.isErased(key, w.Site, state.First.Add(-erasureSlack)) {
				m.key, m.session = key, state
			}
		}
	}
	left := w.Left
	if w.GPC {
		left &^= release.doc.Settings.Consent.TakenByGPC()
	}
	m.receipt(out, "withdrawn", &consent.Verdict{Granted: left, Authority: consent.ByOwner})
	return nil
}

// A receiptMaker makes the events that consent leaves behind.
type receiptMaker struct {
	engine  *Engine
	release *Release
	id      string // of the receipt, "" for a random one
	prompt  string
	at      time.Time
	key     [16]byte
	session *State // nil for nobody's
}

// receipt appends a receipt of what a verdict grants.
func (m *receiptMaker) receipt(out *Outcome, answer string, v *consent.Verdict) {
	id := orElse(m.id, randomID())
	m.event(out, ReceiptEvent, id, func(b []byte) []byte {
		if m.session != nil {
			b = append(b, `,"visitor":{"id":`...)
			b = AppendString(b, m.session.VisitorID())
			b = append(b, `},"session":"`...)
			b = append(m.session.appendSessionID(b), '"')
		}
		b = append(b, `,"consent":{"purposes":`...)
		b = strconv.AppendUint(b, uint64(v.Granted), 10)
		b = append(b, `,"authority":`...)
		b = AppendString(b, v.Authority.String())
		if m.prompt != "" { // a withdrawal does not ask which defaults are in force
			b = append(b, `,"policy":`...)
			b = AppendString(b, v.Policy.String())
		}
		b = append(b, `,"receipt":`...)
		b = append(AppendString(b, id), '}')
		return m.appendProps(b, answer)
	})
}

// count appends a count, of nobody and of no time but the day's.
func (m *receiptMaker) count(out *Outcome, answer PromptAnswer) {
	counted := *m
	counted.at = m.at.UTC().Truncate(24 * time.Hour)
	id := randomID()
	if m.id != "" { // the same for the same answer, and nobody without the key knows of which
		id = m.engine.sealer.ProfileID(m.release.Site(), "count\x00"+m.id)
	}
	counted.event(out, PromptEvent, id, func(b []byte) []byte {
		return m.appendProps(b, answer.String())
	})
}

func (m *receiptMaker) appendProps(b []byte, answer string) []byte {
	b = append(b, `,"props":{"answer":`...)
	b = AppendString(b, answer)
	if m.prompt != "" {
		b = append(b, `,"prompt":`...)
		b = AppendString(b, m.prompt)
	}
	return append(b, '}')
}

func randomID() string {
	var random [12]byte
	rand.Read(random[:])
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// event appends an event and what rest adds to it. It has no purpose, so that no sink
// that needs one gets it.
func (m *receiptMaker) event(out *Outcome, name, id string, rest func(b []byte) []byte) {
	from := len(out.eventSpace)
	b := append(out.eventSpace, `{"v":1,"id":`...)
	b = AppendString(b, id)
	b = append(b, `,"name":`...)
	b = AppendString(b, name)
	b = append(b, `,"at":`...)
	b = strconv.AppendInt(b, m.at.UnixMilli(), 10)
	b = append(b, `,"site":`...)
	b = AppendString(b, m.release.Site())
	b = append(b, `,"node":`...)
	b = AppendString(b, m.engine.node)
	b = append(b, `,"received":`...)
	b = strconv.AppendInt(b, m.at.UnixMilli(), 10)
	b = append(b, `,"origin":`...)
	b = AppendString(b, Origins[0])
	b = rest(b)
	b = append(b, `,"release":`...)
	b = append(strconv.AppendUint(b, m.release.Number(), 10), '}')
	out.eventSpace = b
	out.Events = append(out.Events, Event{
		site: m.release.Site(), id: id, name: name, visitor: m.key,
		at: m.at, expires: m.at.Add(m.release.retain), body: b[from:len(b):len(b)],
	})
}
