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

// A fast path does for a connection that has a goroutine (with TLS, the PROXY protocol,
// from a loop, or not on Linux) what a loop does for many: it answers where it is read what
// nearly all requests are, a browser's beacon that came as a whole and is unusual in
// nothing. The server behind the
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

// takes reports whether a request with a body of so many bytes is a plain beacon. A nil
// server takes none.
func (s *Server) takes(p *picked, body int64) bool {
	return s != nil && p.plain && body <= edge.MaxBeaconBytes && s.isBeacon(p.path)
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
	x.read = now
	x.take(&p.picked, b[len(b)-body:], sender{p.socket, p.secure, &p.picked})
	goesOn = s.writeAnswer(x, s.answerSafely(x))
	g.writing.asked = time.Now().Add(s.options.WriteTimeout)
	_, err := g.Write(x.wire[x.skip:])
	g.reading.asked = time.Now().Add(s.options.IdleTimeout)
	s.putBack(x)
	return p.leave() && goesOn && err == nil && !(s.stopping.Load() && p.closeResting())
}

// answerSafely is answerBeacon where a panic is not the server's to catch.
func (s *Server) answerSafely(x *exchange) (err error) {
	defer func() { s.catch(x, recover(), &err) }()
	return s.answerBeacon(x)
}

// submitSafely is submitBeacon in the same way.
func (s *Server) submitSafely(x *exchange) (p edge.Pending, err error) {
	defer func() { s.catch(x, recover(), &err) }()
	return s.submitBeacon(x)
}

// concludeSafely is concludeBeacon in the same way.
func (s *Server) concludeSafely(x *exchange, kept bool) (err error) {
	defer func() { s.catch(x, recover(), &err) }()
	return s.concludeBeacon(x, kept)
}

// encodeSafely is x's appendAnswer in the same way.
func (s *Server) encodeSafely(x *exchange, lines string, closes bool) (status int, err error) {
	defer func() { s.catch(x, recover(), &err) }()
	return x.appendAnswer(lines, closes), nil
}

// catch turns what was recovered of a panic into an error.
func (s *Server) catch(x *exchange, p any, err *error) {
	if p != nil {
		s.notePanic(p)
		x.broken, *err = true, errInternal
	}
}

// writeAnswer makes the whole answer in x.wire, err being why the request is refused.
// It reports whether the connection may go on afterwards.
func (s *Server) writeAnswer(x *exchange, err error) (goesOn bool) {
	lines, closes, status := s.dates.lines(x.read), s.draining.Load(), 0
	if err == nil {
		status, err = s.encodeSafely(x, lines, closes)
	}
	label := routeBeacon
	if x.broken {
		x.foreign, closes, label = false, true, routeNone
	}
	if err != nil {
		r := refusalOf(err)
		s.metrics.errors.add(r.code)
		status = x.appendRefusal(r, lines, closes)
	}
	s.metrics.served(label, status)
	return !closes
}

// putBack gives an exchange back whose answer has been written, unless something panicked
// in it.
func (s *Server) putBack(x *exchange) {
	if x.broken {
		return
	}
	x.free()
	s.exchanges.Put(x)
}

// appendAnswer writes what is answered and returns its status. lines are the dates'.
func (x *exchange) appendAnswer(lines string, closes bool) (status int) {
	first := "HTTP/1.1 200 OK"
	if !x.says {
		first = "HTTP/1.1 204 No Content"
	}
	x.beginWire(first, lines, closes)
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
func (x *exchange) appendRefusal(r *refusal, lines string, closes bool) (status int) {
	var space [64]byte
	first := append(strconv.AppendInt(append(space[:0], "HTTP/1.1 "...), int64(r.status), 10), ' ')
	x.beginWire(view(append(first, fasthttp.StatusMessage(r.status)...)), lines, closes)
	if r.tellsToWait() {
		x.wire = append(x.wire, "Retry-After: "+retryAfter+"\r\n"...)
	}
	x.endWire(r.appendJSON)
	return r.status
}

// beginWire writes the head's first line, and the lines that follow it in every answer.
func (x *exchange) beginWire(first, lines string, closes bool) {
	x.skip = 0
	b := append(append(x.wire[:0], first...), lines...)
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

// dates are what every answer of a second has in its head: the end of the first line, when
// it is answered, and that it is not to be kept. It is safe for concurrent use.
type dates struct{ last atomic.Pointer[dated] }

type dated struct {
	second int64
	lines  string
}

func (d *dates) lines(now time.Time) string {
	second := now.Unix()
	if last := d.last.Load(); last != nil && last.second == second {
		return last.lines
	}
	next := &dated{second, "\r\nDate: " + now.UTC().Format(http.TimeFormat) + "\r\nCache-Control: no-store\r\n"}
	d.last.Store(next)
	return next.lines
}
