// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
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

// v6NeighbourBits is the prefix of IPv6 addresses that count as one client:
// what a household is given at least.
const v6NeighbourBits = 64

// A door lets connections in, within the limits for all and for one address.
// Addresses are held in full here and nowhere else, and only while their
// connections are open. It is safe for concurrent use.
type door struct {
	most, mostPerAddr int
	headerLimit       int                     // bytes
	tuning            *atomic.Pointer[tuning] // its proxies speak for many clients and have no limit of their own
	metrics           *metrics

	begin    time.Time
	roomWait time.Duration
	slack    time.Duration // how much earlier than it was asked to a read or write may be broken off
	mu       sync.Mutex
	open     map[*guest]struct{}
	perAddr  map[netip.Addr]int
}

func newDoor(o *Options, t *atomic.Pointer[tuning], m *metrics) *door {
	return &door{
		most: o.MaxConns, mostPerAddr: o.MaxConnsPerIP, headerLimit: o.HeaderLimit, tuning: t, metrics: m,
		begin: time.Now(), roomWait: roomWait, slack: min(o.ReadTimeout, o.WriteTimeout, o.IdleTimeout) / slackShare, open: map[*guest]struct{}{}, perAddr: map[netip.Addr]int{},
	}
}

// A doorway is a listener whose connections pass the door.
type doorway struct {
	net.Listener
	door    *door
	tls     *tls.Config // nil for plain HTTP
	proxied bool        // the trusted proxies speak the PROXY protocol
	fast    *Server     // whose beacons are answered on the fast path, nil for none
	once    sync.Once
	err     error
}

// Close stops the listener, once.
func (d *doorway) Close() error {
	d.once.Do(func() { d.err = d.Listener.Close() })
	return d.err
}

// Accept returns the next connection that the limits allow. Others are told so
// and closed.
func (d *doorway) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g, refused := d.door.admit(c, d)
		if refused != nil {
			d.turnAway(c, refused)
			continue
		}
		if secure, ok := g.Conn.(*tls.Conn); ok {
			return &secureGuest{g, secure}, nil
		}
		return g, nil
	}
}

// wrap returns a connection as its requests are read: behind the proxy's header
// and the encryption.
func (d *doorway) wrap(c net.Conn, fromProxy bool) net.Conn {
	if d.proxied && fromProxy {
		c = &proxied{Conn: c, metrics: d.door.metrics}
	}
	if d.tls != nil {
		c = tls.Server(c, d.tls)
	}
	return c
}

// admit counts a connection in, or says which limit it met.
func (d *door) admit(c net.Conn, through *doorway) (*guest, *refusal) {
	addr := socketAddr(c.RemoteAddr())
	fromProxy := d.tuning.Load().trusted.trust(addr)
	if through.proxied && !fromProxy && !addr.IsLoopback() { // this machine asks after our health
		d.metrics.refused.add(refusedStranger)
		return nil, errNotAProxy
	}
	if fromProxy {
		addr = netip.Addr{}
	}
	addr = neighbour(addr)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.open) >= d.most && !d.makeRoom() {
		d.metrics.refused.add(refusedAll)
		return nil, errBusy
	}
	if addr.IsValid() {
		if d.perAddr[addr] >= d.mostPerAddr {
			d.metrics.refused.add(refusedAddress)
			return nil, errTooManyFromHere
		}
		d.perAddr[addr]++
	}
	g := &guest{Conn: through.wrap(c, fromProxy), door: d, addr: addr, framing: framing{limit: d.headerLimit}}
	if through.fast != nil {
		g.fast.server, g.fast.secure, g.framing.picks = through.fast, through.tls != nil, &g.fast.picked
	}
	g.waits.Store(d.clock())
	d.open[g] = struct{}{}
	d.metrics.connections.Store(int64(len(d.open)))
	return g, nil
}

// Of how many connections the one is looked for that gives its place away, and
// how long it must have waited for a request.
const (
	roomSample = 64
	roomWait   = time.Second
)

// clock is the time that guests wait by. It is never 0.
func (d *door) clock() int64 { return int64(time.Since(d.begin)) + 1 }

// makeRoom closes, of some connections, the one that waits longest for a request's
// whole head, as a server that has none left to give does, and reports whether
// there was one: connections without requests must not keep visitors out, nor
// those that never end a handshake or a head. One that is answered, or whose body
// is arriving, is never closed. The closed one leaves in a moment; until then
// there is one more, within bounds.
func (d *door) makeRoom() bool {
	if len(d.open) >= d.most+d.most/16+8 {
		return false
	}
	var idlest *guest
	now, since := d.clock(), int64(0)
	seen := 0
	for g := range d.open { // begins anywhere
		if waits := g.waits.Load(); waits > 0 && now-waits >= int64(d.roomWait) && (idlest == nil || waits < since) {
			idlest, since = g, waits
		}
		if seen++; seen == roomSample {
			break
		}
	}
	if idlest == nil || !idlest.waits.CompareAndSwap(since, 0) { // its request has just come
		return false
	}
	d.metrics.evicted.Add(1)
	idlest.drop()
	return true
}

func (d *door) leave(g *guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, g)
	d.metrics.connections.Store(int64(len(d.open)))
	if !g.addr.IsValid() {
		return
	}
	if n := d.perAddr[g.addr]; n > 1 {
		d.perAddr[g.addr] = n - 1
	} else {
		delete(d.perAddr, g.addr)
	}
}

// close breaks connections off.
func (d *door) close(which func(*guest) bool) {
	d.mu.Lock()
	guests := make([]*guest, 0, len(d.open))
	for g := range d.open {
		if which(g) {
			guests = append(guests, g)
		}
	}
	d.mu.Unlock()
	for _, g := range guests {
		_ = g.Conn.Close() // its handler finds out and closes the guest
	}
}

// neighbour returns what connections are counted by.
func neighbour(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	prefix, err := addr.Prefix(v6NeighbourBits)
	if err != nil {
		return netip.Addr{}
	}
	return prefix.Addr()
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
	addr      netip.Addr   // zero if it is not counted by address
	spoke     atomic.Bool  // something has come in
	waits     atomic.Int64 // since when it waits for a request or the rest of its head, by the door's clock; 0 if it does not
	lingering atomic.Bool
	closed    atomic.Bool
	framing   framing
	fast      fastPath
	reading   deadline
	writing   deadline
	bad       *refusal // what was found wrong with the request that comes next
	hinted    bool     // the reader knows that it comes
}

// Read implements net.Conn. Requests of the fast path are answered by it and never seen
// by the reader.
func (g *guest) Read(b []byte) (int, error) {
	for {
		n, err := g.next(b)
		if f := &g.framing; n > 0 && err == nil && f.fresh && !f.behind && f.between() && g.bad == nil && g.fast.takes(f.head.length) {
			if !g.fast.socket.IsValid() {
				g.fast.socket = socketAddr(g.Conn.RemoteAddr()) // a proxy has told it by now
			}
			if !g.answerFast(b[:n], int(f.head.length)) {
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
	if g.framing.between() || g.framing.inHead() && g.waits.Load() == 0 {
		g.waits.Store(g.door.clock())
	}
	n, err := g.readInTime(b)
	if n == 0 {
		g.waits.Store(0)
		return n, err
	}
	g.door.metrics.bytesIn.Add(uint64(n))
	if !g.spoke.Load() {
		g.spoke.Store(true)
	}
	good, bad := g.framing.follow(b[:n])
	switch f := &g.framing; {
	case bad != nil, !f.inHead(), f.fresh && f.behind: // there is something to answer
		g.waits.Store(0)
	case f.fresh:
		g.waits.Store(g.door.clock())
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

// Close closes the connection and gives its place free; while the fast path
// answers, that is left to it. A connection that lingers ends its own half first
// and reads on for a moment: closing a socket with unread bytes makes the other
// side throw our answer away.
func (g *guest) Close() error {
	if !g.fast.close() || !g.closed.CompareAndSwap(false, true) {
		return nil
	}
	defer g.door.leave(g)
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok && g.lingering.Load() && half.CloseWrite() == nil {
		_ = g.Conn.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, g.Conn, lingerBytes)
	}
	return g.Conn.Close()
}

// drop breaks the connection off without a word: one that TLS has to say would
// wait for a client that reads nothing.
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
