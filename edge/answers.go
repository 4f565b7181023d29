// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"time"

	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/memo"
)

// maxKeptString bounds the consent strings whose answers are kept. Longer ones are
// decoded each time.
const maxKeptString = 2048

// answers remembers what consent strings say, by value: a visitor sends the same
// string with every beacon, and visitors who chose the same send one that differs
// by the day. Nothing of a string but its answers is used later, and none of it
// leaves. It is safe for concurrent use.
type answers struct {
	tcf *memo.Memo[*consent.TCFAnswer]
	gpp *memo.Memo[*consent.GPPAnswer]
}

func newAnswers() answers {
	return answers{memo.New[*consent.TCFAnswer](maxKeptString), memo.New[*consent.GPPAnswer](maxKeptString)}
}

// Neither answer is looked at where there is no string.
var (
	noTCF consent.TCFAnswer
	noGPP consent.GPPAnswer
)

// evaluate is consent.Evaluate with strings that are remembered.
func (a answers) evaluate(s *consent.Signals, p *consent.Policy, where consent.Region, now time.Time) consent.Verdict {
	said := consent.Answers{TCF: &noTCF, GPP: &noGPP}
	if s.ReadsTCF() {
		said.TCF = answerTo(a.tcf, s.TCF, p.TCF, consent.ReadTCF)
	}
	if s.ReadsGPP() {
		said.GPP = answerTo(a.gpp, s.GPP, p.TCF, consent.ReadGPP)
	}
	return said.Evaluate(s, p, where, now)
}

// answerTo returns what is kept of a string, if a site kept it that reads it in
// the same way, or else reads it.
func answerTo[A any, P interface {
	*A
	As() consent.TCFReading
}](kept *memo.Memo[P], text string, as consent.TCFReading, read func(string, consent.TCFReading) A) P {
	key := bytesOf(text)
	if answer, ok := kept.Find(key); ok && answer.As() == as {
		return answer
	}
	answer := read(text, as)
	kept.Keep(key, &answer)
	return &answer
}
