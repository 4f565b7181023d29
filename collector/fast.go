// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// A fast path answers what nearly all requests are where they are read: a browser's
// beacon that came as a whole and is unusual in nothing. The server behind the
// connection never sees it, so that it is not read a second time, nor kept and
// copied by a general server's rules (docs/RATIONALE.md has what that saves). All
// else goes to that server, and both tell the same story: answerBeacon.
//
// A fast path without a Server answers nothing. It belongs to the connection's reader,
// but for state.
type fastPath struct {
	server *Server
	picked picked
	socket netip.Addr // the connection's other end
	secure bool       // it speaks TLS
	state  atomic.Int32
}

// What a fast path is doing when somebody closes its connection.
const (
	fastUnused = iota // the server had the last request, or there was none
	fastRests         // it had the last request
	fastAnswers
	fastEnds   // it answers, and the connection is closed afterwards
	fastCloses // nothing is answered any more
)

// enter says that an answer begins, and reports whether it may.
func (p *fastPath) enter() bool {
	for {
		was := p.state.Load()
		if was >= fastAnswers {
			return false
		}
		if p.state.CompareAndSwap(was, fastAnswers) {
			return true
		}
	}
}

// leave says that the answer has been written, and reports whether the connection
// goes on.
func (p *fastPath) leave() bool {
	goesOn := p.state.CompareAndSwap(fastAnswers, fastRests)
	if !goesOn {
		p.state.Store(fastCloses)
	}
	return goesOn
}

// yield leaves the connection to the server, and reports whether the fast path had it.
func (p *fastPath) yield() bool { return p.state.CompareAndSwap(fastRests, fastUnused) }

// close says that the connection is closed, and reports whether it is now: not by
// who comes while an answer is under way.
func (p *fastPath) close() bool {
	for {
		was, next := p.state.Load(), int32(fastCloses)
		if was == fastAnswers || was == fastEnds {
			next = fastEnds
		}
		if p.state.CompareAndSwap(was, next) {
			return next == fastCloses
		}
	}
}

// hadLast reports whether it had the connection's last request.
func (p *fastPath) hadLast() bool { return p.state.Load() != fastUnused }

// closeResting reports whether the connection is to be closed because the fast path had
// the last request and answers none now.
func (p *fastPath) closeResting() bool { return p.state.CompareAndSwap(fastRests, fastCloses) }

// takes reports whether a request with a body of so many bytes is the fast path's.
func (p *fastPath) takes(body int64) bool {
	return p.server != nil && p.picked.plain && body <= edge.MaxBeaconBytes && p.server.isBeacon(p.picked.path)
}

func (s *Server) isBeacon(path string) bool {
	r := s.route(path)
	return r != nil && r.label == routeBeacon
}

// answerFast answers the request in b, whose body is the last bytes, and reports
// whether the connection is to be read on.
func (g *guest) answerFast(b []byte, body int) (goesOn bool) {
	p := &g.fast
	if !p.enter() {
		return false
	}
	s, now := p.server, time.Now()
	x := s.exchanges.Get().(*exchange)
	x.headers, x.path, x.body, x.read = p.picked.headers, p.picked.path, b[len(b)-body:], now
	x.from = sender{p.socket, p.secure, &p.picked}
	goesOn, sound := s.writeAnswer(x)
	g.writing.asked = time.Now().Add(s.options.WriteTimeout)
	_, err := g.Write(x.wire[x.skip:])
	g.reading.asked = time.Now().Add(s.options.IdleTimeout)
	if sound {
		x.free()
		s.exchanges.Put(x)
	}
	return p.leave() && goesOn && err == nil && !(s.stopping.Load() && p.closeResting())
}

// writeAnswer makes the whole answer in x.wire. It reports whether the connection
// may go on afterwards, and whether x can be used again.
func (s *Server) writeAnswer(x *exchange) (goesOn, sound bool) {
	label, status := routeBeacon, 0
	defer func() {
		if p := recover(); p != nil {
			s.notePanic(p)
			s.metrics.errors.add(errInternal.code)
			x.foreign, label, goesOn, sound = false, routeNone, false, false
			status = x.appendRefusal(errInternal, s.dates.text(x.read), true)
		}
		s.metrics.served(label, status)
	}()
	err := s.answerBeacon(x)
	date, closes := s.dates.text(x.read), s.draining.Load()
	if err != nil {
		r := refusalOf(err)
		s.metrics.errors.add(r.code)
		status = x.appendRefusal(r, date, closes)
	} else {
		status = x.appendAnswer(date, closes)
	}
	return !closes, true
}

// appendAnswer writes what is answered and returns its status.
func (x *exchange) appendAnswer(date string, closes bool) (status int) {
	head := "200 OK"
	if !x.says {
		head = "204 No Content"
	}
	x.beginWire(head, date, closes)
	for value := range x.jar.all {
		x.wire = append(append(append(x.wire, "Set-Cookie: "...), value...), "\r\n"...)
	}
	if !x.says {
		x.wire = append(x.wire, "\r\n"...)
		return http.StatusNoContent
	}
	x.endWire(x.answer.appendJSON)
	return http.StatusOK
}

// appendRefusal writes a refusal and returns its status.
func (x *exchange) appendRefusal(r *refusal, date string, closes bool) (status int) {
	var space [64]byte
	head := append(strconv.AppendInt(space[:0], int64(r.status), 10), ' ')
	x.beginWire(view(append(head, fasthttp.StatusMessage(r.status)...)), date, closes)
	if r.tellsToWait() {
		x.wire = append(x.wire, "Retry-After: "+retryAfter+"\r\n"...)
	}
	x.endWire(r.appendJSON)
	return r.status
}

// beginWire writes the head's first lines.
func (x *exchange) beginWire(status, date string, closes bool) {
	x.skip = 0
	b := append(append(append(x.wire[:0], "HTTP/1.1 "...), status...), "\r\nDate: "...)
	b = append(append(b, date...), "\r\nCache-Control: no-store\r\n"...)
	if x.foreign {
		b = append(append(append(b, headerAllowOrigin+": "...), x.headers.origin...), "\r\n"+headerExpose+": "+exposed+"\r\nVary: Origin\r\n"...)
	}
	if closes {
		b = append(b, "Connection: close\r\n"...)
	}
	x.wire = b
}

// endWire writes the body, and before it its type and length.
func (x *exchange) endWire(body func([]byte) []byte) {
	b := append(x.wire, "Content-Type: "+contentTypeJSON+"\r\nContent-Length: "...)
	const room = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // for the length, which is not known yet
	head := len(b)
	b = append(b, room+"\r\n\r\n"...)
	from := len(b)
	b = body(b)
	var space [len(room)]byte
	length := strconv.AppendInt(space[:0], int64(len(b)-from), 10)
	// The head moves up to it.
	x.skip = len(room) - len(length)
	copy(b[x.skip:], b[:head])
	copy(b[x.skip+head:], length)
	x.wire = b
}

// dates are a Date header's values, of which a second has one. It is safe for
// concurrent use.
type dates struct{ last atomic.Pointer[dated] }

type dated struct {
	second int64
	text   string
}

func (d *dates) text(now time.Time) string {
	second := now.Unix()
	if last := d.last.Load(); last != nil && last.second == second {
		return last.text
	}
	next := &dated{second, now.UTC().Format(http.TimeFormat)}
	d.last.Store(next)
	return next.text
}
