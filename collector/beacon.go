// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// keptBodyBytes is how large a request's buffer may be and still be kept for
// the next request of its connection.
const keptBodyBytes = 16 << 10

// beacon answers POST /v1/beacon.
func (s *Server) beacon(ctx *fasthttp.RequestCtx) error {
	x := s.exchanges.Get().(*exchange)
	x.hear(ctx)
	err := s.answerBeacon(x)
	x.reply(ctx, err)
	x.free()
	s.exchanges.Put(x)
	ctx.Request.ReleaseBody(keptBodyBytes)
	return err
}

// answerBeacon tells a beacon's story: decide, keep the events, answer.
func (s *Server) answerBeacon(x *exchange) error {
	if err := s.decideBeacon(x); err != nil {
		return err
	}
	return s.concludeBeacon(x, s.keep(x))
}

// submitBeacon is the part of answerBeacon before the wait for the disk; the rest is
// concludeBeacon's, once the fate of the events is known. Without a Pending
// the answer is ready.
func (s *Server) submitBeacon(x *exchange) (edge.Pending, error) {
	if err := s.decideBeacon(x); err != nil {
		return nil, err
	}
	if !s.record(x) {
		return nil, s.concludeBeacon(x, true)
	}
	p, err := s.publisher.Submit(x.outcome.Events)
	s.noteLog(err)
	if p == nil {
		return nil, s.concludeBeacon(x, err == nil)
	}
	return p, nil
}

// decideBeacon reads a beacon, sees whether the page may send to the site, describes
// the visit and decides.
func (s *Server) decideBeacon(x *exchange) error {
	if err := x.begin(s); err != nil {
		return err
	}
	malformed := x.decoder.fillBeacon(x.body, &x.beacon)
	release, err := s.admit(x, x.beacon.Site)
	if malformed != nil {
		return malformed // an allowed page may read why
	}
	if err != nil {
		return err
	}
	if err := x.describe(s, release); err != nil {
		return err
	}
	x.identify(s)
	s.ration(x)
	if err := s.engine.Decide(&x.beacon, &x.request, &x.outcome); err != nil {
		return err
	}
	x.took = since(x.read)
	s.metrics.decideTook[asks(len(x.beacon.Slots))].observe(x.took)
	return nil
}

// concludeBeacon makes the answer of what was decided, and of whether the events are
// kept.
func (s *Server) concludeBeacon(x *exchange, kept bool) error {
	if x.outcome.Record != nil || len(x.outcome.Events) > 0 { // else the answer is there with the decision
		x.took = since(x.read)
	}
	if !kept && len(x.beacon.Slots) == 0 {
		return edge.ErrUnavailable
	}
	s.conclude(x, kept)
	s.metrics.answerTook[asks(len(x.beacon.Slots))].observe(x.took)
	return nil
}

// keep publishes the decision record and the accepted events and reports
// whether the events are on disk. Nobody waits for a record.
func (s *Server) keep(x *exchange) bool {
	return !s.record(x) || s.store(x.outcome.Events, s.patience(x)) == nil
}

// record publishes the decision record, and reports whether there are events to keep.
func (s *Server) record(x *exchange) bool {
	if x.outcome.Record != nil {
		s.publisher.Record(x.outcome.Record)
	}
	return len(x.outcome.Events) > 0
}

// patience is how long the events' way to the disk may take: a page that waits for
// slots waits for its events only a moment.
func (s *Server) patience(x *exchange) time.Duration {
	if len(x.beacon.Slots) > 0 {
		return s.options.PublishWait
	}
	return s.options.PublishPatience
}

// conclude says what came of the beacon: nothing when there is nothing to say.
func (s *Server) conclude(x *exchange, kept bool) {
	o := &x.outcome
	x.answer = answer{
		outcome: o, rejected: x.decoder.Rejected(), refused: x.decoder.passedOver(), kept: kept,
		carriesState: !x.sameOrigin, forgetState: !x.sameOrigin && o.DropState,
	}
	s.count(x, kept)
	if state := o.State; x.sameOrigin && (state != "" || o.DropState || x.cookies.both()) {
		if state == "" && !o.DropState {
			state = x.cookies.own // as it was, under the other name
		}
		s.setCookie(x, x.beacon.Site, state)
	}
	x.says = !x.answer.isEmpty()
}

func (s *Server) count(x *exchange, kept bool) {
	m, o := s.metrics, &x.outcome
	if x.request.Bot {
		m.bots.Add(1)
	}
	if x.request.Ahead {
		m.ahead.Add(1)
	}
	if n := len(o.Events); kept && n > 0 {
		m.accepted.Add(uint64(n))
	} else {
		for range o.Events {
			m.rejected.add(edge.RejectedUnavailable)
		}
	}
	if o.Identify != "" {
		m.unidentified.add(o.Identify)
	}
	m.consented(&o.Verdict)
	for i := range o.Decisions {
		m.decided(o.Decisions[i].Reason)
	}
	if n := len(x.decoder.passedOver()); n > 0 {
		m.passed.Add(uint64(n))
	}
	for _, list := range [...][]edge.Rejection{x.decoder.Rejected(), o.Rejected} {
		for i := range list {
			m.rejected.add(list[i].Code)
		}
	}
}

// checkContent refuses a body that says it is something else than JSON. A body
// that does not say what it is gets parsed: it is JSON or it is refused then.
func checkContent(h *headers) error {
	if h.contentType == "text/plain;charset=UTF-8" && h.contentEncoding == "" {
		return nil // as browsers send a beacon
	}
	if h.contentEncoding != "" && h.contentEncoding != "identity" {
		return errEncoding
	}
	kind, _, _ := strings.Cut(h.contentType, ";")
	switch kind = trimSpace(kind); {
	case kind == "", strings.EqualFold(kind, "text/plain"), strings.EqualFold(kind, contentTypeJSON):
		return nil
	default:
		return errMediaType
	}
}
