// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/nearside/nearside/edge"
)

const contentTypeJSON = "application/json"

// An answer is what a beacon is told.
type answer struct {
	outcome *edge.Outcome
	// refused are the events that the decoder left out.
	refused []edge.Rejection
	// kept means that the outcome's events are on disk; else each of them is
	// rejected as unavailable.
	kept bool
	// carriesState means that the state goes into the answer, not into a cookie.
	// forgetState tells a browser that carries one to forget it.
	carriesState, forgetState bool
}

// isEmpty reports whether there is nothing to say.
func (a *answer) isEmpty() bool {
	return len(a.outcome.Decisions) == 0 && len(a.outcome.Rejected) == 0 && len(a.refused) == 0 &&
		a.kept && a.outcome.State == "" && !a.forgetState
}

// appendJSON appends the answer. Of the engine's values only explanations are
// encoded by encoding/json; content is JSON already.
func (a *answer) appendJSON(b []byte) []byte {
	o := a.outcome
	b = append(b, `{"v":1,"granted":`...)
	b = strconv.AppendUint(b, uint64(o.Verdict.Granted), 10)
	b = append(b, `,"decisions":[`...)
	for i := range o.Decisions {
		b = appendDecision(comma(b, i), &o.Decisions[i])
	}
	b = append(b, ']')
	if a.forgetState || a.carriesState && o.State != "" {
		b = append(b, `,"state":`...)
		b = appendString(b, o.State)
	}
	b = append(b, `,"accepted":`...)
	accepted := 0
	if a.kept {
		accepted = len(o.Events)
	}
	b = strconv.AppendInt(b, int64(accepted), 10)
	b = append(b, `,"rejected":[`...)
	n := 0
	for _, list := range [...][]edge.Rejection{a.refused, o.Rejected} {
		for i := range list {
			b = appendRejection(comma(b, n), list[i])
			n++
		}
	}
	if !a.kept {
		for i := range o.Events {
			b = appendRejection(comma(b, n), edge.Rejection{ID: o.Events[i].ID(), Code: edge.RejectedUnavailable})
			n++
		}
	}
	return append(b, "]}"...)
}

func appendDecision(b []byte, d *edge.Decision) []byte {
	b = append(b, '{')
	if d.ID != "" {
		b = append(b, `"id":`...)
		b = append(appendString(b, d.ID), ',')
	}
	b = append(b, `"slot":`...)
	b = appendString(b, d.Slot)
	b = appendText(b, `,"variant":`, d.Variant)
	b = appendText(b, `,"kind":`, d.Kind.String())
	b = appendText(b, `,"lang":`, d.Lang)
	b = appendText(b, `,"dir":`, d.Dir)
	b = appendText(b, `,"reason":`, d.Reason.String())
	b = appendText(b, `,"rule":`, d.Rule)
	b = appendText(b, `,"because":`, d.Because)
	if len(d.Content) > 0 {
		b = append(b, `,"content":`...)
		b = append(b, d.Content...)
	}
	if d.Why != nil {
		if why, err := json.Marshal(d.Why); err == nil {
			b = append(append(b, `,"why":`...), why...)
		}
	}
	return append(b, '}')
}

func appendRejection(b []byte, r edge.Rejection) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, r.ID)
	b = appendText(b, `,"code":`, r.Code)
	b = appendText(b, `,"field":`, r.Field)
	return append(b, '}')
}

// appendText appends a member unless it is empty.
func appendText(b []byte, member, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, member...), value)
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

// plain marks the bytes that stand for themselves in a JSON string. "<" does
// not, so that no text can end a script it is put into.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\' && c != '<'
	}
	return table
}()

// appendString appends s as a JSON string. What is not UTF-8, for a rule may
// answer anything, becomes U+FFFD; U+2028 and U+2029 are escaped, for older
// JavaScript takes them for line ends.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r >= utf8.RuneSelf && r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		b = append(b, s[from:i]...)
		switch r {
		case '"', '\\':
			b = append(b, '\\', byte(r))
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
		i += size
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
