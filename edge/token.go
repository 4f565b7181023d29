// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"errors"
	"time"
)

// A DecisionID is what a decision's id says, once opened: which slot of which
// release showed what and why, so that an impression can be counted anywhere
// without a look-up.
type DecisionID struct {
	At      time.Time // exact to a second
	Release uint64
	Reason  Reason
	Slot    string
	Variant string // "" for a default
	Rule    string // as in Decision
	// Campaign is the rule's, "" without one and in ids made before there were any.
	Campaign string
	// Surface is where it was to be shown, "" for web.
	Surface string
}

const decisionIDVersion = 1

// sign gives a decision of an outcome its id. A slot the release does not have gets none:
// nothing was shown on our word.
func (s *sealing) sign(out *Outcome, d *Decision, release *Release, now time.Time) {
	if d.Reason == ReasonUnknownSlot {
		return
	}
	plain := append(s.buf.plain[:0], decisionIDVersion, byte(d.Reason))
	plain = binary.LittleEndian.AppendUint32(plain, uint32(now.Unix()))
	plain = binary.AppendUvarint(plain, release.Number())
	for _, text := range [...]string{d.Slot, d.Variant, d.Rule} {
		plain = append(append(plain, byte(len(text))), text...)
	}
	onWeb := out.surface == "" || out.surface == "web"
	if d.Campaign != "" || !onWeb { // last, so that whoever does not know it reads the rest
		plain = append(append(plain, byte(len(d.Campaign))), d.Campaign...)
	}
	if !onWeb {
		plain = append(append(plain, byte(len(out.surface))), out.surface...)
	}
	from := len(out.text)
	out.text = s.append(out.text, plain)
	d.ID = textOf(out.text[from:])
}

var errDecisionID = errors.New("decision id is malformed")

// OpenDecisionID reads a decision's id that this site's key sealed.
func (s *Sealer) OpenDecisionID(site, id string) (DecisionID, error) {
	d, _, err := s.openDecisionID(nil, site, id)
	return d, err
}

// openDecisionID is OpenDecisionID with memory for the texts, to which it appends
// and which it returns: they are views of that.
func (s *Sealer) openDecisionID(space []byte, site, id string) (d DecisionID, rest []byte, err error) {
	from := len(space)
	if space, err = s.open(space, sealedDecision, site, id); err == nil {
		d, err = parseDecisionID(space[from:])
	}
	return d, space, err
}

func parseDecisionID(plain []byte) (DecisionID, error) {
	if len(plain) < 6 || plain[0] != decisionIDVersion || int(plain[1]) >= len(reasonNames) {
		return DecisionID{}, errDecisionID
	}
	d := DecisionID{
		Reason: Reason(plain[1]),
		At:     time.Unix(int64(binary.LittleEndian.Uint32(plain[2:])), 0).UTC(),
	}
	number, n := binary.Uvarint(plain[6:])
	if n <= 0 {
		return DecisionID{}, errDecisionID
	}
	d.Release = number
	r := byteReader{b: plain[6+n:]}
	d.Slot, d.Variant, d.Rule = r.text(), r.text(), r.text()
	if r.left() > 0 {
		d.Campaign = r.text()
	}
	if r.left() > 0 {
		d.Surface = r.text()
	}
	if r.bad {
		return DecisionID{}, errDecisionID
	}
	return d, nil
}
