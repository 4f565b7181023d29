// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// withOption sets an option of sockets before they are connected.
func withOption(option, value int) func(_, _ string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var failed error
		return errors.Join(raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, value)
		}), failed)
	}
}

// listenWith listens on a loopback port; its connections have a socket option.
func listenWith(t testing.TB, option, value int) (net.Listener, error) {
	lc := net.ListenConfig{Control: withOption(option, value)}
	return lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
}

// serveSmall serves connections that have little room for answers.
func (h *house) serveSmall() <-chan error {
	h.t.Helper()
	ln, err := listenWith(h.t, syscall.SO_SNDBUF, 4<<10)
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- h.Serve(ln, nil) }()
	return served
}

var (
	slotsOnly  = fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual, say{"slots": []string{"hero"}})}.text()
	eventsOnly = fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual&^8, say{"events": eventsOf("e1")})}.text()
)

const healthOnly = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

// inLoops returns how many of the house's connections are in a loop.
func (h *house) inLoops() (n int) {
	h.door.mu.Lock()
	defer h.door.mu.Unlock()
	for p := range h.door.open {
		if _, ok := p.holder.(*plainConn); ok {
			n++
		}
	}
	return n
}

// A talk is a connection that asks and reads answers.
type talk struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (h *house) talk(t *testing.T) *talk {
	t.Helper()
	return talkOn(t, dial(t, h.addr))
}

func talkOn(t *testing.T, c net.Conn) *talk {
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return &talk{c, t, bufio.NewReader(c)}
}

func (c *talk) say(parts ...string) {
	c.t.Helper()
	for i, part := range parts {
		if i > 0 {
			time.Sleep(20 * time.Millisecond) // so that they come one by one
		}
		if _, err := io.WriteString(c.Conn, part); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *talk) hear(status string) {
	c.t.Helper()
	if got, _ := answerOf(c.t, c.in); !strings.HasPrefix(got, status) {
		c.t.Fatalf("answer %s; want %s", got, status)
	}
}

// A connection leaves its loop for what only the server answers, comes back with the
// next plain beacon, and stays at last if it goes on like that.
func TestAConnectionLeavesItsLoopAndComesBack(t *testing.T) {
	h := open(t, nil)
	c := h.talk(t)
	c.say(slotsOnly)
	c.hear("200")
	if h.inLoops() != 1 {
		t.Fatal("the connection did not begin in a loop")
	}
	for move := range maxMoves {
		c.say(healthOnly)
		c.hear("200")
		if h.inLoops() != 0 {
			t.Fatal("the loop answers for the server")
		}
		c.say(slotsOnly)
		c.hear("200")
		waitFor(t, "the connection to come back", func() bool { return h.inLoops() == 1 })
		if open := h.metrics.connections.Load(); open != 1 {
			t.Fatalf("%d connections after move %d", open, move)
		}
	}
	c.say(healthOnly)
	c.hear("200")
	c.say(slotsOnly)
	c.hear("200")
	waitFor(t, "the fast path to have answered", h.fastRests)
	if h.inLoops() != 0 {
		t.Error("the connection goes on coming and going")
	}
	_ = c.Close()
	waitFor(t, "the connection to be gone", func() bool { return h.metrics.connections.Load() == 0 })
}

func TestABeaconInParts(t *testing.T) {
	h := open(t, nil)
	at := []int{10, len(slotsOnly) / 3, strings.Index(slotsOnly, "\r\n\r\n") + 4, len(slotsOnly) - 1, len(slotsOnly)}
	for parts := 2; parts <= len(at); parts++ {
		c := h.talk(t)
		var list []string
		begin := 0
		for _, end := range at[len(at)-parts:] {
			list = append(list, slotsOnly[begin:end])
			begin = end
		}
		c.say(list...)
		c.hear("200")
		if want := parts <= maxParts; h.inLoops() == 1 != want {
			t.Errorf("%d parts: in the loop is %v", parts, !want)
		}
		c.say(slotsOnly)
		c.hear("200")
		_ = c.Close()
		waitFor(t, "the connection to be gone", func() bool { return h.metrics.connections.Load() == 0 })
	}
}

// What happens to a connection while its events are on their way to the disk is seen
// afterwards.
func TestWhileEventsAreOnTheirWay(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(c *talk)
		ends bool
	}{
		{"another request comes", func(c *talk) { c.say(slotsOnly); c.hear("204"); c.hear("200") }, false},
		{"the rest of one comes", func(c *talk) { c.say(slotsOnly[:40]); c.hear("204"); c.say(slotsOnly[40:]); c.hear("200") }, false},
		{"one for the server comes", func(c *talk) { c.say(healthOnly); c.hear("204"); c.hear("200") }, false},
		{"nobody sends more", func(c *talk) { _ = c.Conn.(*net.TCPConn).CloseWrite(); c.hear("204") }, true},
		{"nobody is there any more", func(c *talk) { _ = c.Close() }, true},
		{"it is cut off", func(c *talk) { _ = c.Conn.(*net.TCPConn).SetLinger(0); _ = c.Close() }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, nil)
			h.ledger.set(100*time.Millisecond, nil)
			c := h.talk(t)
			c.say(eventsOnly)
			waitFor(t, "the request to be read", func() bool { return h.metrics.bytesIn.Load() > 0 })
			tt.then(c)
			waitFor(t, "the event to be kept", func() bool { return len(h.ledger.kept()) == 1 })
			if tt.ends {
				waitFor(t, "the connection to be gone", func() bool { return h.metrics.connections.Load() == 0 })
			} else if n := h.metrics.connections.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// oneLoop has servers that begin in this test have one loop.
func oneLoop(t *testing.T) {
	procs := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs) })
}

// Each request waits for the disk as long as it may, though their events share a group.
func TestAGroupIsWaitedForAsLongAsEachMay(t *testing.T) {
	oneLoop(t)
	slow := &stuck{fate: &fate{done: make(chan struct{})}}
	h := open(t, func(o *Options) {
		slow.Publisher, o.Publisher = o.Publisher, slow
		o.PublishWait, o.PublishPatience = 50*time.Millisecond, 400*time.Millisecond
	})
	both := fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual, say{"events": eventsOf("e1"), "slots": []string{"hero"}})}.text()
	begin := time.Now()
	patient, page := h.talk(t), h.talk(t)
	patient.say(eventsOnly)
	time.Sleep(20 * time.Millisecond)
	page.say(both)
	got, _ := answerOf(t, page.in)
	if took := time.Since(begin); took < 70*time.Millisecond || took > 300*time.Millisecond || !strings.HasPrefix(got, "200") || !strings.Contains(got, `"accepted":0,"rejected":[{`) {
		t.Errorf("after %v: answer %s", took, got)
	}
	patient.hear("503")
	if took := time.Since(begin); took < 400*time.Millisecond || took > 2*time.Second {
		t.Errorf("the patient one was answered after %v", took)
	}
	if slow.given.Load() != 2 {
		t.Errorf("%d calls gave up", slow.given.Load())
	}
	late := h.talk(t)
	late.say(eventsOnly)
	time.Sleep(20 * time.Millisecond)
	close(slow.done)
	late.hear("204")
	early := h.talk(t) // the fate is known before anybody waits for it
	early.say(eventsOnly)
	early.hear("204")
}

// Nobody is told of a fate that is another's.
func TestEachIsToldTheirOwnFate(t *testing.T) {
	oneLoop(t)
	log := &stuck{}
	h := open(t, func(o *Options) {
		log.Publisher, o.Publisher = o.Publisher, log
		o.PublishPatience = 5 * time.Second
	})
	var fates []*fate
	var asked []*talk
	for range 6 {
		log.mu.Lock()
		log.fate = &fate{done: make(chan struct{})}
		if len(fates)%2 == 1 {
			log.err = edge.ErrUnavailable
		}
		fates = append(fates, log.fate)
		log.mu.Unlock()
		for range 3 {
			c := h.talk(t)
			read := h.metrics.bytesIn.Load()
			c.say(eventsOnly)
			waitFor(t, "the request to be read", func() bool { return h.metrics.bytesIn.Load() > read })
			asked = append(asked, c)
		}
	}
	for i, f := range fates {
		_ = asked[3*i].SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if _, err := asked[3*i].in.Peek(1); !isTimeout(err) {
			t.Fatalf("an answer before the fate is known: %v", err)
		}
		close(f.done)
		for _, c := range asked[3*i : 3*i+3] {
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			c.hear([]string{"204", "503"}[i%2])
		}
	}
}

// A request that is answered, or whose body is arriving, gives way to nobody.
func TestWhoIsServedGivesWayToNobody(t *testing.T) {
	log := &stuck{fate: &fate{done: make(chan struct{})}}
	h := open(t, func(o *Options) {
		log.Publisher, o.Publisher = o.Publisher, log
		o.MaxConns, o.PublishPatience = 1, 5*time.Second
	})
	h.door.roomWait = 10 * time.Millisecond
	refused := func() {
		t.Helper()
		time.Sleep(5 * h.door.roomWait)
		for range 9 + h.door.most/16 { // places beyond the most are for who takes another's
			if got, _ := raw(t, h.addr, nil); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
				t.Fatalf("answer %q", got)
			}
		}
	}
	c := h.talk(t)
	half := len(slotsOnly) - 5
	c.say(slotsOnly[:half])
	refused()
	c.say(slotsOnly[half:])
	c.hear("200")
	c.say(eventsOnly)
	refused()
	close(log.done)
	c.hear("204")
}

// slow returns a connection whose client has read none of as many answers as it asked for,
// until there was no room for the last: it has left the loop, and the server writes.
func (h *house) slow(t *testing.T) (c *talk, asked int) {
	t.Helper()
	d := net.Dialer{Control: withOption(syscall.SO_RCVBUF, 4<<10)} // once connected, a window has been promised
	conn, err := d.DialContext(t.Context(), "tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c = talkOn(t, conn)
	for asked = 1; asked < 20_000; asked++ {
		c.say(slotsOnly)
		time.Sleep(100 * time.Microsecond)
		if h.inLoops() > 0 {
			continue
		}
		time.Sleep(50 * time.Millisecond)
		if h.inLoops() == 0 { // there is no room for the rest either
			return c, asked
		}
	}
	t.Fatal("there was room for every answer")
	return nil, 0
}

// An answer that its reader has no room for is the server's to write.
func TestASlowReaderDoesNotStopTheLoop(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.WriteTimeout = 2 * time.Second })
	served := h.serveSmall()
	defer func() {
		if err := errors.Join(h.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	}()
	c, asked := h.slow(t)
	other := h.talk(t)
	other.say(slotsOnly)
	other.hear("200")
	_ = other.Close()
	waitFor(t, "the other to be gone", func() bool { return h.metrics.connections.Load() == 1 })
	for range asked { // what was written in two parts is whole
		c.hear("200")
	}
	c.say(slotsOnly)
	c.hear("200")
	_ = c.Close()
	waitFor(t, "the connection to be gone", func() bool { return h.metrics.connections.Load() == 0 })
	silent, _ := h.slow(t)
	waitFor(t, "who reads nothing to be left", func() bool {
		// A kernel may find room for one more answer, and then for none.
		_ = silent.SetWriteDeadline(time.Now().Add(time.Millisecond))
		_, _ = io.WriteString(silent, slotsOnly)
		return h.metrics.connections.Load() == 0
	})
}

// Shutdown does not wait for a log that is stuck longer than it is told to, and what
// rests in a loop is closed at once.
func TestShutdownBreaksOffWhatALoopWaitsFor(t *testing.T) {
	slow := &stuck{fate: &fate{done: make(chan struct{})}}
	h := newHouse(t, func(o *Options) {
		slow.Publisher, o.Publisher = o.Publisher, slow
		o.PublishPatience = 20 * time.Second
	})
	served := h.serve(nil)
	silent, held, waiting := h.talk(t), h.talk(t), h.talk(t)
	held.say(slotsOnly[:40])
	waiting.say(eventsOnly)
	waitFor(t, "the requests to be read", func() bool { return h.metrics.bytesIn.Load() >= uint64(40+len(eventsOnly)) })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := h.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("shutdown took %v", took)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if got, err := io.ReadAll(silent); err != nil || len(got) > 0 {
		t.Errorf("read %q, %v", got, err)
	}
	close(slow.done)
	waitFor(t, "all to be gone", func() bool { return h.metrics.connections.Load() == 0 })
}

// deaf returns a connection whose client reads nothing, which rests in the loop with no
// room for a byte more.
func (h *house) deaf(t *testing.T) *talk {
	t.Helper()
	c := h.talk(t)
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(2 << 10)
	for range 200 {
		c.say(slotsOnly)
		time.Sleep(5 * time.Millisecond)
		h.door.mu.Lock()
		full := false
		for p := range h.door.open {
			if conn, ok := p.holder.(*plainConn); ok {
				full = !writable(t, conn.fd)
			}
		}
		h.door.mu.Unlock()
		if full {
			return c
		}
	}
	t.Fatal("there was room for every answer")
	return nil
}

// writable reports whether anything can be written to a socket.
func writable(t *testing.T, fd int) bool {
	t.Helper()
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(poll) }()
	err = syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLOUT})
	n, failed := syscall.EpollWait(poll, make([]syscall.EpollEvent, 1), 0)
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// A connection that can be neither read nor written is closed all the same when it has to
// give way, or the server stops.
func TestWhoReadsNothingGivesWay(t *testing.T) {
	t.Run("to another", func(t *testing.T) {
		h := newHouse(t, func(o *Options) { o.MaxConns, o.ReadTimeout = 1, time.Second })
		h.door.roomWait = 50 * time.Millisecond
		served := h.serveSmall()
		h.deaf(t)
		time.Sleep(2 * h.door.roomWait)
		other := h.talk(t)
		other.say(slotsOnly)
		other.hear("200")
		_ = other.Close()
		waitFor(t, "both to be gone", func() bool { return h.metrics.connections.Load() == 0 })
		if h.metrics.evicted.Load() != 1 {
			t.Errorf("%d evicted", h.metrics.evicted.Load())
		}
		if err := errors.Join(h.Shutdown(t.Context()), <-served); err != nil {
			t.Error(err)
		}
	})
	t.Run("to the end", func(t *testing.T) {
		h := newHouse(t, nil)
		served := h.serveSmall()
		h.deaf(t)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		if err := errors.Join(h.Shutdown(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
}

// What came back from the server has the time of an idle connection, and gives way.
func TestTimesOfWhatCameBack(t *testing.T) {
	h := open(t, func(o *Options) {
		o.ReadTimeout, o.IdleTimeout, o.MaxConns = 300*time.Millisecond, 600*time.Millisecond, 1
	})
	back := func() *talk {
		c := h.talk(t)
		c.say(healthOnly)
		c.hear("200")
		c.say(slotsOnly)
		c.hear("200")
		waitFor(t, "the connection to come back", func() bool { return h.inLoops() == 1 })
		return c
	}
	c, begin := back(), time.Now()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 || time.Since(begin) < 500*time.Millisecond {
		t.Errorf("read %q, %v after %v", rest, err, time.Since(begin))
	}
	waitFor(t, "the connection to be gone", func() bool { return h.metrics.connections.Load() == 0 })
	h.door.roomWait = 50 * time.Millisecond
	first := back()
	time.Sleep(2 * h.door.roomWait)
	second := h.talk(t)
	second.say(slotsOnly)
	second.hear("200")
	if rest, err := io.ReadAll(first.in); err != nil || len(rest) > 0 || h.metrics.evicted.Load() != 1 {
		t.Errorf("read %q, %v; %d evicted", rest, err, h.metrics.evicted.Load())
	}
}

// Who never says anything is left after the time that a request has.
func TestWhoSaysNothingIsLeft(t *testing.T) {
	h := open(t, func(o *Options) { o.ReadTimeout = 300 * time.Millisecond })
	c, begin := h.talk(t), time.Now()
	rest, err := io.ReadAll(c)
	if took := time.Since(begin); err != nil || len(rest) > 0 || took < 200*time.Millisecond || took > 3*time.Second {
		t.Errorf("read %q, %v after %v", rest, err, took)
	}
}

// Shutdown waits for what passes from a loop to the server.
func TestShutdownWaitsForPassages(t *testing.T) {
	t.Run("an answer in two parts", func(t *testing.T) {
		h := newHouse(t, nil)
		served := h.serveSmall()
		c, asked := h.slow(t)
		ended := make(chan error, 1)
		go func() { ended <- h.Shutdown(context.Background()) }()
		time.Sleep(100 * time.Millisecond)
		for range asked {
			c.hear("200")
		}
		if err := errors.Join(<-ended, <-served); err != nil {
			t.Error(err)
		}
	})
	t.Run("a request in two parts", func(t *testing.T) {
		for range 5 {
			h := newHouse(t, func(o *Options) { o.ReadTimeout = 400 * time.Millisecond })
			served := h.serve(nil)
			c := h.talk(t)
			half := len(slotsOnly) - 5
			c.say(slotsOnly[:half])
			waitFor(t, "the half to be read", func() bool { return h.metrics.bytesIn.Load() > 0 })
			ended := make(chan error, 1)
			go func() { ended <- h.Shutdown(context.Background()) }()
			time.Sleep(200 * time.Millisecond) // it is with the server
			c.say(slotsOnly[half:])
			c.hear("200")
			if err := errors.Join(<-ended, <-served); err != nil {
				t.Error(err)
			}
			if n := h.metrics.bytesIn.Load(); n != uint64(len(slotsOnly)) {
				t.Errorf("%d bytes counted of %d", n, len(slotsOnly))
			}
		}
	})
}

// A request is its sender's, though they are gone when the server gets it.
func TestWhoIsGoneKeepsTheirAddress(t *testing.T) {
	h := open(t, func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	for i := range 20 {
		c := h.talk(t)
		c.say(strings.Replace(eventsOnly, "Origin:", "X-Forwarded-For: 203.0.113.7\r\nConnection: x-any\r\nOrigin:", 1))
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		waitFor(t, "the event to be kept", func() bool { return len(h.ledger.kept()) == i+1 })
	}
	if n := h.metrics.unlisted.Load(); n > 0 {
		t.Errorf("%d requests lost who sent them", n)
	}
	if h.places.last() != netip.MustParseAddr("203.0.113.0") {
		t.Errorf("placed by %v", h.places.last())
	}
}

// A byte that is marked as urgent is none of the stream, and does not hide what follows.
func TestBehindAnUrgentByte(t *testing.T) {
	eachWay(t, func(t *testing.T, newHouse func(func(*Options)) *house) {
		h := newHouse(nil).open()
		h.ledger.set(50*time.Millisecond, nil)
		c := h.talk(t)
		c.say(eventsOnly) // while that is answered all the rest comes
		waitFor(t, "the request to be read", func() bool { return h.metrics.bytesIn.Load() > 0 })
		raw, err := c.Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			if err := errors.Join(syscall.Sendto(int(fd), []byte(slotsOnly+"!"), syscall.MSG_OOB, nil), syscall.Sendto(int(fd), []byte(slotsOnly), 0, nil)); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		c.hear("204")
		c.hear("200")
		c.hear("200")
	})
}

// standing returns a loop with one connection, which the test runs.
func (h *house) standing(t *testing.T) (l *loop, c net.Conn) {
	t.Helper()
	ln, err := listenWith(t, syscall.SO_RCVBUF, 208<<10)
	if err != nil {
		t.Fatal(err)
	}
	l, err = newLoop(&doorway{Listener: ln, door: h.door, fast: h.Server}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.file.Close() })
	_ = l.file.SetReadDeadline(time.Now().Add(10 * time.Second))
	defer func() { _ = ln.Close() }()
	c = dial(t, ln.Addr().String())
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if taken, refused := l.take(accepted.(*net.TCPConn), &seat{}); !taken {
		t.Fatal(refused)
	}
	return l, c
}

// A loop that cannot ask the system any more leaves nobody waiting, and ends its listener.
func TestALoopThatFails(t *testing.T) {
	h := newHouse(t, nil)
	l, c := h.standing(t)
	_ = l.file.Close()
	l.run()
	<-l.done
	if got, err := io.ReadAll(c); err != nil || len(got) > 0 || h.metrics.connections.Load() != 0 {
		t.Errorf("read %q, %v; %d connections", got, err, h.metrics.connections.Load())
	}
	if _, err := l.way.Listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener goes on: %v", err)
	}
	if !strings.Contains(h.log.String(), "wait for connections") {
		t.Errorf("logged: %s", h.log.String())
	}
}

// A request and the connection's end may come at once.
func TestTheEndBehindARequest(t *testing.T) {
	h := newHouse(t, nil)
	l, c := h.standing(t)
	if _, err := io.WriteString(c, slotsOnly); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	time.Sleep(50 * time.Millisecond)
	n, err := l.wait()
	if err != nil || n != 1 {
		t.Fatalf("%d events, %v", n, err)
	}
	l.answer(n)
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") || h.metrics.connections.Load() != 0 {
		t.Errorf("read %q, %v; %d connections", got, err, h.metrics.connections.Load())
	}
}

// One connection that always has more gives others their turn.
func TestATurnEnds(t *testing.T) {
	h := newHouse(t, nil)
	l, c := h.standing(t)
	request := "POST /v1/beacon HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nX: "
	request += strings.Repeat("a", loopBytes-len(request)-5) + "\r\n\r\n{"
	const turns = 2
	if _, err := io.WriteString(c, strings.Repeat(request, turns*loopTurn)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // all of it has come
	answered := func() uint64 { return h.metrics.requests[routeBeacon][3].Load() }
	for turn := 1; answered() < turns*loopTurn; turn++ {
		n, err := l.wait()
		if err != nil || n != 1 {
			t.Fatalf("%d events, %v", n, err)
		}
		before := answered()
		l.answer(n)
		if got := answered() - before; got == 0 || got > loopTurn {
			t.Fatalf("%d requests answered in turn %d", got, turn)
		}
	}
}

// Each answer is its request's, whatever else happens, and nothing is left over.
func TestLoopsInDisorder(t *testing.T) {
	h := newHouse(t, func(o *Options) {
		o.MaxConns = 24
		o.ReadTimeout, o.IdleTimeout, o.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
		o.PublishWait, o.PublishPatience = 3*time.Millisecond, 30*time.Millisecond
	})
	h.door.roomWait = 20 * time.Millisecond
	served := h.serve(nil)
	const enough = 1000 // right answers, for which a busy machine gets its time
	end, last := time.Now().Add(2*time.Second), time.Now().Add(time.Minute)
	var clients sync.WaitGroup
	var right, others atomic.Int64
	for client := range 32 {
		clients.Go(func() {
			dice := rand.New(rand.NewPCG(1, uint64(client)))
			for i := 0; time.Now().Before(end) || right.Load() < enough && time.Now().Before(last); i++ {
				c, err := net.Dial("tcp", h.addr)
				if err != nil {
					continue
				}
				_ = c.SetDeadline(time.Now().Add(3 * time.Second))
				in := bufio.NewReader(c)
				for j := range 1 + dice.IntN(12) {
					if dice.IntN(8) == 0 {
						h.ledger.set(time.Duration(dice.IntN(4))*4*time.Millisecond, nil)
					}
					id := fmt.Sprintf("e%d.%d.%d", client, i, j)
					answer, err := disorder(c, in, dice, id)
					if err != nil {
						break
					}
					switch {
					case strings.Contains(answer, `"`+id+`!"`):
						right.Add(1)
					case strings.Contains(answer, `"error"`):
						others.Add(1)
					default:
						t.Errorf("%s got %s", id, answer)
					}
				}
				_ = c.Close()
			}
		})
	}
	clients.Wait()
	if right.Load() < enough {
		t.Errorf("%d right answers, %d others", right.Load(), others.Load())
	}
	waitFor(t, "all to be gone", func() bool { return h.metrics.connections.Load() == 0 })
	h.door.mu.Lock()
	if len(h.door.open)+len(h.door.perAddr) > 0 {
		t.Errorf("left are %v of %v", h.door.open, h.door.perAddr)
	}
	h.door.mu.Unlock()
	if err := errors.Join(h.Shutdown(t.Context()), <-served); err != nil {
		t.Error(err)
	}
	if n := h.metrics.panics.Load(); n > 0 {
		t.Errorf("%d panics", n)
	}
}

// disorder sends a request that has to be answered with its id and an exclamation mark:
// for the loop or the server, whole or in parts, or cut off; and reads the answer.
func disorder(c net.Conn, in *bufio.Reader, dice *rand.Rand, id string) (answer string, err error) {
	events := []say{{"id": id, "name": "page_view", "at": testNow.UnixMilli(), "props": say{}}}[dice.IntN(2):]
	head := "Origin: https://shop.example\r\n" + []string{"", "", "Connection: x-any\r\n"}[dice.IntN(3)]
	text := fastCase{head: head, body: beaconOf(usual, say{
		"events": append(events, say{"id": id + "!", "name": "page_view", "at": testNow.UnixMilli(), "props": say{}}), "slots": []string{"hero"},
	})}.text()
	leave := func() {
		if dice.IntN(2) == 0 {
			_ = c.(*net.TCPConn).SetLinger(0)
		}
		_ = c.Close()
	}
	switch dice.IntN(10) {
	case 0:
		for err == nil && len(text) > 0 {
			n := 1 + dice.IntN(len(text))
			_, err = io.WriteString(c, text[:n])
			text = text[n:]
			time.Sleep(time.Duration(dice.IntN(1500)) * time.Microsecond)
		}
	case 1:
		_, _ = io.WriteString(c, text[:1+dice.IntN(len(text)-1)])
		time.Sleep(time.Duration(dice.IntN(2)*dice.IntN(400)) * time.Millisecond)
		leave()
	case 2:
		_, _ = io.WriteString(c, text)
		leave()
	case 3:
		_, err = io.WriteString(c, text)
		_ = c.(*net.TCPConn).CloseWrite()
	default:
		_, err = io.WriteString(c, text)
	}
	if err != nil {
		return "", err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// A stuck log says nothing until its fate is known.
type stuck struct {
	edge.Publisher
	mu sync.Mutex
	*fate
}

func (s *stuck) Submit([]edge.Event) (edge.Pending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fate, nil
}
