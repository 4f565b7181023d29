// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A loop answers what comes over many connections one after another: beacons that
// are whole and plain, as the fast path has them. Plain TCP connections begin
// there, and rest there for a small part of what a goroutine of their own costs.
// With the first request that is anything else a connection becomes a guest and
// its request is the server's; when a guest's beacons are plain again it comes back.
//
// The loop asks the kernel by epoll which of its connections have something to
// read, and has the runtime wake it when there is something to ask about. Beacons
// whose events have to be kept are answered when they are, by batches
// (docs/RATIONALE.md has what all this saves).
type loop struct {
	way   *doorway
	serve func(*guest) // has the server serve a connection

	poll int // the epoll descriptor, open as long as there are connections
	file *os.File
	raw  syscall.RawConn
	tick time.Duration // how often the times of connections are looked after

	mu       sync.Mutex
	conns    []*plainConn // by descriptor
	count    int          // of them, and of guests that the server does not have yet
	stopping bool
	ended    bool
	done     chan struct{} // closed when the last connection of a stopped loop is gone

	spare flightMemory // which batches give back

	// The rest belongs to the goroutine that runs it.
	framing framing
	picked  picked
	asks    func(uintptr) bool // ask, once and for all
	events  [loopEvents]syscall.EpollEvent
	news    int   // of events, as ask was told
	failed  error // of ask
	ready   [loopEvents]*plainConn
	batch   *batch // the newest
}

const (
	// loopEvents are how many connections the kernel names at once.
	loopEvents = 64
	// loopTurn is how many requests are answered before other goroutines have
	// their turn: on one processor the log's own would wait for all of them else.
	loopTurn = 8
	// maxTick bounds how late a connection's time can be up.
	maxTick = time.Second
)

// What the kernel is asked to tell, once each time it begins to be so (epoll(7)).
const (
	pollEdges  = 1 << 31                               // EPOLLET
	pollMore   = syscall.EPOLLRDHUP | syscall.EPOLLPRI // something is behind what one read finds
	pollReads  = syscall.EPOLLIN | pollMore | pollEdges
	pollAlways = pollReads | syscall.EPOLLOUT // true of all but who reads no answers
)

// newLoops returns one loop per processor that may be used: two on one would wait for
// each other's time slices.
func newLoops(way *doorway, serve func(*guest)) ([]*loop, error) {
	loops := make([]*loop, min(runtime.NumCPU(), runtime.GOMAXPROCS(0)))
	for i := range loops {
		l, err := newLoop(way, serve)
		if err != nil {
			for _, l := range loops[:i] {
				_ = l.file.Close()
			}
			return nil, err
		}
		loops[i] = l
	}
	for _, l := range loops {
		go l.run()
	}
	return loops, nil
}

func newLoop(way *doorway, serve func(*guest)) (*loop, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	// A descriptor that does not block is one that the runtime waits for.
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	o := &way.fast.options
	l := &loop{
		way: way, serve: serve, poll: fd, file: os.NewFile(uintptr(fd), "epoll"),
		tick: min(maxTick, min(o.ReadTimeout, o.IdleTimeout)/4), done: make(chan struct{}),
	}
	l.asks = l.ask
	if l.raw, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return l, nil
}

// take moves a connection from the runtime's care into the loop's, in a seat of the
// door's; or says which limit it met. It is not taken where the system has no
// descriptor left.
func (l *loop) take(tcp *net.TCPConn, p *seat) (taken bool, refused *refusal) {
	fd := duplicate(tcp)
	if fd < 0 {
		return false, nil
	}
	c := &plainConn{loop: l, seat: p, fd: fd, socket: socketAddr(tcp.RemoteAddr())}
	if refused := l.way.door.admit(p, c); refused != nil {
		_ = syscall.Close(fd)
		return false, refused
	}
	_ = tcp.Close() // the duplicate stays open
	l.add(c)
	return true, nil
}

// duplicate returns another descriptor of a connection, or -1.
func duplicate(tcp *net.TCPConn) int {
	fd := -1
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1
	}
	err = raw.Control(func(of uintptr) {
		if to, _, e := syscall.Syscall(syscall.SYS_FCNTL, of, syscall.F_DUPFD_CLOEXEC, 0); e == 0 {
			fd = int(to)
		}
	})
	if err != nil {
		return -1
	}
	return fd
}

// add lets the loop hear of a connection, or closes it where that cannot be.
func (l *loop) add(c *plainConn) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		_ = syscall.Close(c.fd)
		l.way.door.leave(c.seat)
		return
	}
	for len(l.conns) <= c.fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[c.fd] = c
	l.count++
	l.mu.Unlock()
	if err := l.control(syscall.EPOLL_CTL_ADD, c.fd, pollReads); err != nil {
		l.way.fast.options.Logger.Error("wait for a connection", "error", err)
		c.close()
		return
	}
	if c.dropped.Load() || l.way.fast.stopping.Load() { // so since before the loop could hear of it
		c.poke()
	}
}

// forget is the end of add. The descriptor must still be open.
func (l *loop) forget(c *plainConn) {
	l.unlist(c.fd)
	l.goodbye()
}

// unlist is the half of forget by which no more is heard of a connection.
func (l *loop) unlist(fd int) {
	l.mu.Lock()
	l.conns[fd] = nil
	l.mu.Unlock()
}

// goodbye is the half of forget by which the loop needs not go on for a connection.
func (l *loop) goodbye() {
	l.mu.Lock()
	l.count--
	stopping := l.stopping
	l.mu.Unlock()
	if stopping {
		l.wake()
	}
}

func (l *loop) control(operation, fd int, events uint32) error {
	return syscall.EpollCtl(l.poll, operation, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

// wake lets the loop look after times and its end at once.
func (l *loop) wake() { _ = l.file.SetReadDeadline(time.Unix(1, 0)) }

// stop lets the loop end when its last connection does.
func (l *loop) stop() {
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	l.wake()
}

// isOver ends a stopped loop that has no connections, and reports whether it has.
func (l *loop) isOver() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = l.stopping && l.count == 0
	return l.ended
}

// run answers until the loop ends.
func (l *loop) run() {
	defer func() {
		_ = l.file.Close()
		close(l.done)
	}()
	next := time.Now().Add(l.tick)
	_ = l.file.SetReadDeadline(next)
	for {
		n, err := l.wait()
		late := errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !late {
			l.way.fast.options.Logger.Error("wait for connections", "error", err)
			l.fail()
			return
		}
		if n > 0 {
			l.answer(n)
		}
		if now := time.Now(); late || now.After(next) {
			next = now.Add(l.tick)
			_ = l.file.SetReadDeadline(next)
			if l.isOver() { // after the time is set: wake sets it anew
				return
			}
			l.lookAfterTimes()
		}
		runtime.Gosched()
	}
}

// fail ends the listener, and what rests in a loop that can go on no more.
func (l *loop) fail() {
	_ = l.way.Close()
	l.mu.Lock()
	l.ended = true
	var rest []*plainConn
	for _, c := range l.conns {
		if c != nil && c.state.Load() == connRests {
			rest = append(rest, c)
		}
	}
	l.mu.Unlock()
	for _, c := range rest {
		c.close()
	}
}

// wait returns how many connections have something new, in l.events.
func (l *loop) wait() (int, error) {
	if l.ask(0) {
		return l.news, l.failed
	}
	err := l.raw.Read(l.asks) // waits while asks is false
	return l.news, errors.Join(err, l.failed)
}

// ask asks the kernel which connections have something new, and reports whether it said
// anything.
func (l *loop) ask(uintptr) bool {
	n, err := syscall.EpollWait(l.poll, l.events[:], 0)
	if err == syscall.EINTR {
		n, err = 0, nil
	}
	l.news, l.failed = max(n, 0), err
	return n != 0 || err != nil
}

// answer looks at n connections.
func (l *loop) answer(n int) {
	l.mu.Lock()
	for i := range n {
		l.ready[i] = l.conns[l.events[i].Fd]
	}
	l.mu.Unlock()
	for i, c := range l.ready[:n] {
		if c != nil { // else it has been closed
			c.look(l.events[i].Events&pollMore != 0)
		}
		if i%loopTurn == loopTurn-1 {
			runtime.Gosched()
		}
	}
	clear(l.ready[:n])
}

// lookAfterTimes closes connections that have waited too long for a request, and
// makes those guests whose request is slow to arrive: they have the time that every
// request has.
func (l *loop) lookAfterTimes() {
	now := l.way.door.clock()
	o := &l.way.fast.options
	var due []*plainConn
	l.mu.Lock()
	for _, c := range l.conns {
		if c != nil && c.isDue(now, o) {
			due = append(due, c)
		}
	}
	l.mu.Unlock()
	for _, c := range due {
		if !c.isOver() && len(c.held) > 0 {
			c.handOver(passage{read: c.held})
		} else {
			c.close()
		}
	}
}
