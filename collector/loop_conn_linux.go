// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// A plainConn is a connection in a loop. Who may touch it goes by its state: while it
// rests, the loop's goroutine; while its request is answered, whoever answers.
type plainConn struct {
	loop   *loop
	seat   *seat
	fd     int
	socket netip.Addr // its other end

	state   atomic.Int32
	dropped atomic.Bool           // it is to be closed
	became  atomic.Pointer[guest] // once it is one

	spoke bool   // it has sent something
	held  []byte // the beginning of a request
	parts int    // in which that came
	began int64  // when, by the door's clock
	moves int    // how often it has come back from the server
}

// States of a plainConn.
const (
	connRests    = iota
	connAnswers  // its request is being answered
	connAwaited  // so it is, and something else has happened meanwhile
	connLeftLoop // it is closed, or a guest
)

const (
	// loopBytes is how large a request may be that a loop reads.
	loopBytes = 16 << 10
	// maxParts is in how many parts a request may come: each is read from the
	// beginning.
	maxParts = 4
	// maxMoves bounds how often a connection comes back from the server: coming and
	// going costs as much as a request.
	maxMoves = 16
)

// drop implements holder.
func (c *plainConn) drop() {
	c.dropped.Store(true)
	if g := c.became.Load(); g != nil {
		g.drop()
		return
	}
	c.poke()
}

// stop implements holder.
func (c *plainConn) stop() { c.poke() }

// poke has the loop look at the connection, now if anything can be read or written, else
// when it looks after times. The descriptor may be another connection's by now, to which
// this says nothing.
func (c *plainConn) poke() {
	_ = c.loop.control(syscall.EPOLL_CTL_MOD, c.fd, pollAlways)
}

// isOver reports whether a connection that rests is to be closed.
func (c *plainConn) isOver() bool {
	return c.dropped.Load() || c.loop.way.fast.stopping.Load() && len(c.held) == 0
}

// isDue reports whether a connection that rests has waited too long, by the door's
// clock. It may be called while the connection is being answered.
func (c *plainConn) isDue(now int64, o *Options) bool {
	if c.state.Load() != connRests {
		return false
	}
	if c.isOver() {
		return true
	}
	if len(c.held) > 0 {
		return now-c.began > int64(c.loop.tick)
	}
	limit := o.IdleTimeout
	if !c.spoke {
		limit = o.ReadTimeout
	}
	waits := c.seat.waits.Load()
	return waits > 0 && now-waits > int64(limit)
}

// look sees what is new on the connection: another request, or its end. more means that
// there is something behind what one read finds, though that is little.
func (c *plainConn) look(more bool) {
	for range loopTurn {
		switch c.state.Load() {
		case connLeftLoop, connAwaited:
			return
		case connAnswers:
			if c.state.CompareAndSwap(connAnswers, connAwaited) {
				return // whoever answers comes back to it
			}
			continue
		}
		if c.isOver() {
			c.close()
			return
		}
		if n := c.readOn(); n == 0 || n < loopBytes && !more {
			return
		}
	}
	c.poke() // others have their turn
}

// readOn reads what has come, and answers it if it is a request. It returns the
// size of what it read, with what was held before; 0 for nothing.
func (c *plainConn) readOn() int {
	l := c.loop
	s := l.way.fast
	x := s.exchanges.Get().(*exchange)
	if x.raw == nil {
		x.raw = make([]byte, loopBytes)
	}
	had := copy(x.raw, c.held)
	n, err := receive(c.fd, x.raw[had:])
	if n <= 0 {
		s.exchanges.Put(x)
		switch {
		case err == syscall.EAGAIN:
		case n == 0 && had > 0: // the server has an answer to half a request
			c.handOver(passage{read: c.held})
		default:
			c.close()
		}
		return 0
	}
	now := time.Now()
	s.metrics.bytesIn.Add(uint64(n))
	c.spoke = true
	b := x.raw[:had+n]
	whole, begins := l.follow(b)
	if !whole {
		if begins && c.parts+1 < maxParts && len(b) < loopBytes {
			c.hold(b)
		} else {
			c.handOver(passage{read: bytes.Clone(b)})
		}
		s.exchanges.Put(x)
		return len(b)
	}
	c.seat.waits.Store(0)
	c.held, c.parts = nil, 0
	c.state.Store(connAnswers)
	x.read = now
	x.take(&l.picked, b[len(b)-int(l.framing.head.length):], sender{c.socket, false, &l.picked})
	pending, err := s.submitSafely(x)
	if pending != nil {
		l.join(pending, flight{c, x})
	} else {
		c.conclude(x, err)
	}
	return len(b)
}

// follow reads bytes that begin a request. They are whole if they are one request that
// the fast path takes, which l.picked has then; they begin if they may become one.
func (l *loop) follow(b []byte) (whole, begins bool) {
	f, p := &l.framing, &l.picked
	*f = framing{limit: l.way.door.headerLimit, picks: p, line: f.line[:0]}
	_, bad := f.follow(b)
	if bad != nil || f.behind {
		return false, false
	}
	if f.inHead() {
		return false, true
	}
	plain := l.way.fast.takes(p, f.head.length)
	return plain && f.between(), plain
}

// hold keeps the beginning of a request until there is more of it.
func (c *plainConn) hold(b []byte) {
	now := c.loop.way.door.clock()
	if c.parts++; c.parts == 1 {
		c.began = now
	}
	if !c.loop.framing.inHead() {
		now = 0
	}
	c.seat.waits.Store(now)
	c.held = append(c.held[:0], b...)
}

// conclude writes the answer to a request and leaves the connection to the loop. The
// error is why the request is refused.
func (c *plainConn) conclude(x *exchange, err error) {
	s := c.loop.way.fast
	goesOn := s.writeAnswer(x, err)
	out := x.wire[x.skip:]
	n, failed := send(c.fd, out)
	if n > 0 {
		s.metrics.bytesOut.Add(uint64(n))
		out = out[n:]
	}
	switch {
	case n <= 0 && failed != syscall.EAGAIN, len(out) == 0 && !goesOn:
		c.close()
	case len(out) > 0:
		c.handOver(passage{write: bytes.Clone(out), goesOn: goesOn})
	default:
		c.rest(x.read.Add(x.took))
	}
	s.putBack(x)
}

// rest gives the connection back to the loop, which waits for it since it was answered,
// nearly.
func (c *plainConn) rest(answered time.Time) {
	c.seat.waits.Store(c.loop.way.door.at(answered))
	awaited := !c.state.CompareAndSwap(connAnswers, connRests)
	if awaited {
		c.state.Store(connRests)
	}
	if awaited || c.loop.way.fast.stopping.Load() {
		c.poke()
	}
}

// close closes the connection and gives its seat free.
func (c *plainConn) close() {
	c.state.Store(connLeftLoop)
	c.loop.forget(c)
	_ = syscall.Close(c.fd)
	c.loop.way.door.leave(c.seat)
}

// A passage is what a connection takes from a loop to the server.
type passage struct {
	read   []byte // of its next request
	write  []byte // of the answer before, not yet written
	goesOn bool   // after that answer
}

// handOver makes the connection a guest, whose requests are the server's.
func (c *plainConn) handOver(p passage) {
	l := c.loop
	c.state.Store(connLeftLoop)
	_ = l.control(syscall.EPOLL_CTL_DEL, c.fd, 0) // the duplicate would stay in it
	l.unlist(c.fd)
	f := os.NewFile(uintptr(c.fd), "connection")
	conn, err := net.FileConn(f)
	_ = f.Close()
	if err != nil { // there is no descriptor left
		l.way.door.leave(c.seat)
		l.goodbye()
		return
	}
	g := l.way.newGuest(&begun{Conn: conn, rest: p.read, client: addrOf(c.socket)}, c.seat)
	g.home, g.moves, g.counted, g.fast.socket, g.onTheWay = l, c.moves, len(p.read), c.socket, true
	g.spoke.Store(true)
	l.way.door.pass(c.seat, g)
	c.became.Store(g)
	if c.dropped.Load() { // before it was one
		g.drop()
	}
	go g.arrive(p)
}

// arrive writes what is left of an answer, and has the connection served.
func (g *guest) arrive(p passage) {
	defer g.arrived()
	if len(p.write) > 0 {
		s := g.fast.server
		g.writing.asked = time.Now().Add(s.options.WriteTimeout)
		_, err := g.Write(p.write)
		g.fast.state.CompareAndSwap(fastUnused, fastRests) // as after an answer of its own
		if err != nil || !p.goesOn || s.stopping.Load() || g.goHome() {
			_ = g.Close()
			return
		}
	}
	g.home.serve(g)
}

// arrived tells the loop, once, that the server has the connection, which it has
// when it reads: until then it is the loop's to wait for.
func (g *guest) arrived() {
	if g.onTheWay {
		g.onTheWay = false
		g.home.goodbye()
	}
}

// goHome gives a connection that rests back to the loop that it came from, and
// reports whether it is there now. The guest is over then.
func (g *guest) goHome() bool {
	l := g.home
	if l == nil || g.moves == maxMoves || g.fast.server.stopping.Load() {
		return false
	}
	b, ok := g.Conn.(*begun)
	if !ok || len(b.rest) > 0 {
		return false
	}
	tcp, ok := b.Conn.(*net.TCPConn)
	if !ok {
		return false
	}
	fd := duplicate(tcp)
	if fd < 0 {
		return false
	}
	if !g.fast.closeResting() || !g.closed.CompareAndSwap(false, true) { // somebody else closes it
		_ = syscall.Close(fd)
		return false
	}
	c := &plainConn{loop: l, seat: g.seat, fd: fd, socket: g.fast.socket, spoke: true, moves: g.moves + 1}
	c.seat.waits.Store(l.way.door.clock())
	l.way.door.pass(g.seat, c)
	_ = tcp.Close()
	l.add(c)
	return true
}
