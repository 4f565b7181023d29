// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// How long and how much is read of a request that has been refused, so that its
// sender can still see the answer.
const (
	lingerTime  = time.Second
	lingerBytes = 16 << 20
)

// refuseTime bounds the writing of an answer to a connection over the limits.
const refuseTime = 50 * time.Millisecond

// A doorway is a listener whose connections pass the door.
type doorway struct {
	net.Listener
	door    *door
	tls     *tls.Config // nil for plain HTTP
	proxied bool        // the trusted proxies speak the PROXY protocol
	fast    *Server     // whose beacons are answered in loops and on the fast path, nil for none
	loops   []*loop     // of plain connections, none where connections are no sockets or fast is nil
	turn    int         // of the loops
	once    sync.Once
	err     error
}

// Close stops the listener, once.
func (d *doorway) Close() error {
	d.once.Do(func() { d.err = d.Listener.Close() })
	return d.err
}

// Accept returns the next connection that the limits allow and that no loop takes.
// Those over the limits are told so and closed.
func (d *doorway) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if isFull(err) {
			d.door.metrics.refused.add(refusedDescriptors)
			d.door.clear()
			time.Sleep(fullWait)
			continue
		}
		if err != nil {
			return nil, err
		}
		g, refused := d.receive(c)
		if refused != nil {
			d.turnAway(c, refused)
			continue
		}
		if g == nil {
			continue
		}
		if secure, ok := g.Conn.(*tls.Conn); ok {
			return &secureGuest{g, secure}, nil
		}
		return g, nil
	}
}

// fullWait is how long no connection is accepted where the system has no descriptor left.
const fullWait = 20 * time.Millisecond

// isFull reports whether there is no descriptor left, in the process or the system. That
// ends: who waits is in the system's queue meanwhile.
func isFull(err error) bool { return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) }

// wrap returns a connection as its requests are read: behind the proxy's header
// and the encryption.
func (d *doorway) wrap(c net.Conn, fromProxy bool) net.Conn {
	if d.proxied && fromProxy {
		c = &proxied{begun: begun{Conn: c}, metrics: d.door.metrics}
	}
	if d.tls != nil {
		c = tls.Server(c, d.tls)
	}
	return c
}

// who says who is at the other end of a connection, as far as the door counts it,
// and whether that is a trusted proxy; or why nobody there may connect.
func (d *doorway) who(c net.Conn) (addr netip.Addr, fromProxy bool, refused *refusal) {
	addr = socketAddr(c.RemoteAddr())
	fromProxy = d.door.tuning.Load().trusted.trust(addr)
	if d.proxied && !fromProxy && !addr.IsLoopback() { // this machine asks after our health
		d.door.metrics.refused.add(refusedStranger)
		return netip.Addr{}, false, errNotAProxy
	}
	if fromProxy {
		return netip.Addr{}, true, nil
	}
	return neighbour(addr), false, nil
}

// receive lets a connection in, or says which limit it met. It returns nil if a
// loop has taken the connection.
func (d *doorway) receive(c net.Conn) (*guest, *refusal) {
	addr, fromProxy, refused := d.who(c)
	if refused != nil {
		return nil, refused
	}
	p := &seat{addr: addr}
	if tcp, ok := c.(*net.TCPConn); ok && len(d.loops) > 0 {
		d.turn++
		if taken, refused := d.loops[d.turn%len(d.loops)].take(tcp, p); taken || refused != nil {
			return nil, refused
		}
	}
	g := d.newGuest(d.wrap(c, fromProxy), p)
	if refused := d.door.admit(p, g); refused != nil {
		return nil, refused
	}
	return g, nil
}

// newGuest returns a guest that has a seat.
func (d *doorway) newGuest(c net.Conn, p *seat) *guest {
	g := &guest{Conn: c, door: d.door, seat: p, framing: framing{limit: d.door.headerLimit}}
	if d.fast != nil {
		g.fast.server, g.fast.secure, g.framing.picks = d.fast, d.tls != nil, &g.fast.picked
	}
	return g
}

// turnAway answers a connection that no request is read from. A TLS connection
// is just closed: it would need a handshake first.
func (d *doorway) turnAway(c net.Conn, why *refusal) {
	if d.tls == nil {
		_ = c.SetWriteDeadline(time.Now().Add(refuseTime))
		_, _ = c.Write(why.appendHTTP(nil))
	}
	_ = c.Close()
}

// A guest is a connection that passed the door.
type guest struct {
	net.Conn
	door      *door
	seat      *seat
	spoke     atomic.Bool // something has come in
	lingering atomic.Bool
	closed    atomic.Bool
	framing   framing
	fast      fastPath
	reading   deadline
	writing   deadline
	bad       *refusal // what was found wrong with the request that comes next
	hinted    bool     // the reader knows that it comes
	home      *loop    // where it came from, nil for none
	moves     int      // how often it went there before
	onTheWay  bool     // from there to the server
	counted   int      // bytes still to be read that have been counted
}

// Read implements net.Conn. Requests of the fast path are answered by it and never seen
// by the reader.
func (g *guest) Read(b []byte) (int, error) {
	g.arrived()
	for {
		n, err := g.next(b)
		if f := &g.framing; n > 0 && err == nil && f.fresh && !f.behind && f.between() && g.bad == nil && g.fast.server.takes(&g.fast.picked, f.head.length) {
			if !g.fast.socket.IsValid() {
				g.fast.socket = socketAddr(g.Conn.RemoteAddr()) // a proxy has told it by now
			}
			if !g.answerFast(b[:n], int(f.head.length)) {
				return 0, io.EOF
			}
			if g.goHome() {
				return 0, io.EOF
			}
			continue
		}
		if n == 0 && err != nil && g.bad == nil && g.fast.hadLast() {
			return 0, io.EOF // nothing has begun that anybody could be told of
		}
		if g.fast.yield() {
			g.reading.asked = time.Now().Add(g.fast.server.options.ReadTimeout)
		}
		return n, err
	}
}

// next reads the connection's next bytes. A request that could be read in two ways
// is never seen by the reader, nor is anything after it: it gets the refusal as an
// error.
func (g *guest) next(b []byte) (int, error) {
	if g.bad != nil {
		return g.refuse(b)
	}
	if g.framing.between() || g.framing.inHead() && g.seat.waits.Load() == 0 {
		g.seat.waits.Store(g.door.clock())
	}
	n, err := g.readInTime(b)
	if n == 0 {
		g.seat.waits.Store(0)
		return n, err
	}
	counted := min(n, g.counted)
	g.counted -= counted
	g.door.metrics.bytesIn.Add(uint64(n - counted))
	if !g.spoke.Load() {
		g.spoke.Store(true)
	}
	good, bad := g.framing.follow(b[:n])
	switch f := &g.framing; {
	case bad != nil, !f.inHead(), f.fresh && f.behind: // there is something to answer
		g.seat.waits.Store(0)
	case f.fresh:
		g.seat.waits.Store(g.door.clock())
	}
	if bad == nil {
		return n, err
	}
	g.bad = bad
	g.door.metrics.framing.Add(1)
	if good > 0 {
		return good, nil
	}
	return g.refuse(b)
}

// Write implements net.Conn.
func (g *guest) Write(b []byte) (int, error) {
	n, err := g.writeInTime(b)
	g.door.metrics.bytesOut.Add(uint64(n))
	return n, err
}

// refuse ends reading with a refusal. A reader that nothing of a request has
// reached would take that for the connection's end, so it is given a byte
// first; the error meets it while it waits for the rest.
func (g *guest) refuse(b []byte) (int, error) {
	if g.framing.fresh && !g.hinted {
		g.hinted = true
		b[0] = '?'
		return 1, nil
	}
	return 0, g.bad
}

// A lingerer is a connection that can wait for what is still being sent.
type lingerer interface{ linger() }

func (g *guest) linger() { g.lingering.Store(true) }

// Close closes the connection and gives its seat free; while the fast path
// answers, that is left to it. A connection that lingers ends its own half first
// and reads on for a moment: closing a socket with unread bytes makes the other
// side throw our answer away.
func (g *guest) Close() error {
	if !g.fast.close() || !g.closed.CompareAndSwap(false, true) {
		return nil
	}
	defer g.door.leave(g.seat)
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok && g.lingering.Load() && half.CloseWrite() == nil {
		_ = g.Conn.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, g.Conn, lingerBytes)
	}
	return g.Conn.Close()
}

// stop implements holder. Whoever serves the guest finds out and closes it.
func (g *guest) stop() {
	if !g.spoke.Load() || g.fast.closeResting() {
		_ = g.Conn.Close()
	}
}

// drop implements holder in the same way. A word that TLS has to say would wait for a client that
// reads nothing.
func (g *guest) drop() {
	if secure, ok := g.Conn.(*tls.Conn); ok {
		_ = secure.NetConn().Close()
		return
	}
	_ = g.Conn.Close()
}

// A secureGuest is a guest that speaks TLS, which fasthttp sees by its methods.
type secureGuest struct {
	*guest
	tls *tls.Conn
}

// Handshake runs the TLS handshake, once.
func (g *secureGuest) Handshake() error {
	if g.tls.ConnectionState().HandshakeComplete {
		return nil
	}
	err := g.tellDeadlines()
	if err == nil {
		err = g.tls.Handshake()
	}
	if err != nil {
		g.door.metrics.handshakes.add(handshakeFailed)
		return err
	}
	g.door.metrics.handshakes.add(tls.VersionName(g.tls.ConnectionState().Version))
	return nil
}

// ConnectionState returns what the handshake agreed on.
func (g *secureGuest) ConnectionState() tls.ConnectionState { return g.tls.ConnectionState() }
