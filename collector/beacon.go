// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"

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

// answerBeacon tells a beacon's story: read it, see whether the page may send
// to the site, describe the visit, decide, keep the events, answer.
func (s *Server) answerBeacon(x *exchange) error {
	if err := x.begin(s); err != nil {
		return err
	}
	malformed := x.decoder.DecodeBeacon(x.body, &x.beacon)
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
	s.ration(x)
	if err := s.engine.Decide(&x.beacon, &x.request, &x.outcome); err != nil {
		return err
	}
	asks := asks(len(x.beacon.Slots))
	s.metrics.decideTook[asks].observe(since(x.read))
	kept := s.keep(x)
	if !kept && len(x.beacon.Slots) == 0 {
		return edge.ErrUnavailable
	}
	s.conclude(x, kept)
	s.metrics.answerTook[asks].observe(since(x.read))
	return nil
}

// keep publishes the decision record and the accepted events and reports
// whether the events are on disk. A page that waits for slots waits for its
// events only a moment, and nobody waits for a record.
func (s *Server) keep(x *exchange) bool {
	if x.outcome.Record != nil {
		s.publisher.Record(x.outcome.Record)
	}
	if len(x.outcome.Events) == 0 {
		return true
	}
	wait := s.options.PublishWait
	if len(x.beacon.Slots) == 0 {
		wait = s.options.PublishPatience
	}
	return s.store(x.outcome.Events, wait) == nil
}

// conclude says what came of the beacon: nothing when there is nothing to say.
func (s *Server) conclude(x *exchange, kept bool) {
	o := &x.outcome
	x.answer = answer{
		outcome: o, refused: x.decoder.Rejected(), kept: kept,
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
	if kept {
		m.accepted.Add(uint64(len(o.Events)))
	} else {
		for range o.Events {
			m.rejected.add(edge.RejectedUnavailable)
		}
	}
	for i := range o.Decisions {
		m.decided(o.Decisions[i].Reason)
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
