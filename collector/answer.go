// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strconv"

	"github.com/nearside/nearside/edge"
)

const contentTypeJSON = "application/json"

// An answer is what a beacon is told.
type answer struct {
	outcome *edge.Outcome
	// rejected are the events that the decoder left out, refused says what was wrong with
	// other parts that it did.
	rejected []edge.Rejection
	refused  []DecodeError
	// kept means that the outcome's events are on disk; else each of them is
	// rejected as unavailable.
	kept bool
	// carriesState means that the state goes into the answer, not into a cookie.
	// forgetState tells a browser that carries one to forget it.
	carriesState, forgetState bool
	// html means that contents are written as HTML where their kind has one.
	html bool
	// cookie is the value of a Set-Cookie header that a server is to pass on, "" for
	// none.
	cookie string
}

// isEmpty reports whether there is nothing to say.
func (a *answer) isEmpty() bool {
	return len(a.outcome.Decisions) == 0 && len(a.outcome.Rejected) == 0 && len(a.rejected) == 0 &&
		len(a.refused) == 0 && a.kept && a.outcome.State == "" && !a.forgetState && a.outcome.Identify == ""
}

// appendJSON appends the answer.
func (a *answer) appendJSON(b []byte) []byte {
	o := a.outcome
	b = append(b, `{"v":1,"granted":`...)
	b = strconv.AppendUint(b, uint64(o.Verdict.Granted), 10)
	b = append(b, `,"decisions":[`...)
	for i := range o.Decisions {
		b = o.Decisions[i].AppendJSON(comma(b, i), a.html)
	}
	b = append(b, ']')
	if a.forgetState || a.carriesState && o.State != "" {
		b = append(append(append(b, `,"state":"`...), o.State...), '"') // in base64url
	}
	b = edge.AppendMember(b, `,"cookie":`, a.cookie)
	if o.Identify != "" {
		b = append(edge.AppendMember(b, `,"identify":{"code":`, o.Identify), '}')
	}
	b = append(b, `,"accepted":`...)
	accepted := 0
	if a.kept {
		accepted = len(o.Events)
	}
	b = strconv.AppendInt(b, int64(accepted), 10)
	b = append(b, `,"rejected":[`...)
	n := 0
	for _, list := range [...][]edge.Rejection{a.rejected, o.Rejected} {
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
	b = append(b, ']')
	if !a.kept && len(o.Events) > 0 {
		b = append(b, `,"resend":true`...)
	}
	if len(a.refused) > 0 {
		b = append(b, `,"refused":[`...)
		for i := range a.refused {
			b = edge.AppendMember(comma(b, i), `{"code":`, a.refused[i].Code)
			b = append(edge.AppendMember(b, `,"field":`, a.refused[i].Field), '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendRejection(b []byte, r edge.Rejection) []byte {
	b = append(b, `{"id":`...)
	b = edge.AppendString(b, r.ID)
	b = edge.AppendMember(b, `,"code":`, r.Code)
	b = edge.AppendMember(b, `,"field":`, r.Field)
	return append(b, '}')
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}
