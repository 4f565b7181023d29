// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// answerBytes holds the largest answer with its headers.
const answerBytes = 64 << 10

// A client is one run's connections.
type client struct {
	plan    *Plan
	conns   []conn
	epoll   int
	events  []unix.EpollEvent
	out     []byte // the request that is written
	waiting int    // connections whose answer is due
	start   time.Time
	told    time.Time
	idle    time.Duration // spent on finding that there was nothing to do
	result  Result
}

// A conn is one connection. It has one request under way at most.
type conn struct {
	fd      int
	in      []byte
	have    int
	since   time.Time // the planned moment of the request under way
	waiting bool
}

func newClient(p *Plan) (*client, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	c := &client{plan: p, epoll: epoll, conns: make([]conn, p.Conns), events: make([]unix.EpollEvent, 256), out: make([]byte, 0, answerBytes)}
	for i := range c.conns {
		c.conns[i] = conn{fd: -1, in: make([]byte, 4<<10)}
		if err := c.connect(i); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

func (c *client) close() {
	for i := range c.conns {
		if c.conns[i].fd >= 0 {
			unix.Close(c.conns[i].fd)
		}
	}
	unix.Close(c.epoll)
}

// connect opens a connection, again if it was open.
func (c *client) connect(i int) error {
	k := &c.conns[i]
	if k.fd >= 0 {
		unix.Close(k.fd)
	}
	k.have, k.fd = 0, -1
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(c.plan.Addr.Port()), Addr: c.plan.Addr.Addr().Unmap().As4()}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	k.fd = fd
	if err := unix.Connect(fd, to); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := errors.Join(unix.SetNonblock(fd, true), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)); err != nil {
		return err
	}
	return unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
}

// send writes a connection's next request. planned is when it was due.
func (c *client) send(i int, planned time.Time) error {
	k := &c.conns[i]
	c.out = c.plan.Script.Request(i, c.out[:0])
	k.since, k.waiting = planned, true
	c.waiting++
	for rest, tries := c.out, 0; len(rest) > 0; {
		n, errno := rawIO(unix.SYS_WRITE, k.fd, rest)
		switch {
		case errno == 0:
			rest = rest[n:]
		case errno == unix.EAGAIN && tries < 1000:
			// A body larger than the socket holds, which few are: wait for the server.
			tries++
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLOUT}}, 5); err != nil && err != unix.EINTR {
				return err
			}
		case errno == unix.EINTR:
		default:
			return nil // closed by the server: the reading side finds out what it said
		}
	}
	return nil
}

// pause is how long the client lets be before it looks again: asking all the time
// would keep the server's kernel half from the lists that both use.
const pause = time.Microsecond

// poll looks for answers, once, and calls done for each connection that is free
// again.
func (c *client) poll(done func(conn int, now time.Time) error) error {
	began := time.Now()
	n, err := unix.EpollWait(c.epoll, c.events, 0)
	if err != nil && err != unix.EINTR {
		return err
	}
	if n <= 0 {
		for time.Since(began) < pause {
		}
		c.idle += time.Since(began)
		return nil
	}
	for i := range c.events[:n] {
		conn := int(c.events[i].Fd)
		free, err := c.receive(conn)
		if err != nil {
			return err
		}
		if free {
			if err := done(conn, time.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// receive reads what there is of an answer and reports whether the connection is
// free for another request.
func (c *client) receive(i int) (bool, error) {
	k := &c.conns[i]
	if k.have == len(k.in) {
		if len(k.in) >= answerBytes {
			return false, errors.New("an answer is too large")
		}
		k.in = slices.Grow(k.in, len(k.in))[:2*len(k.in)]
	}
	n, errno := rawIO(unix.SYS_READ, k.fd, k.in[k.have:])
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return false, nil
	}
	if errno != 0 || n == 0 {
		return c.lost(i)
	}
	k.have += n
	a, whole, err := parseAnswer(k.in[:k.have])
	if err != nil || !whole {
		return false, err
	}
	if !k.waiting || a.size != k.have {
		return false, errors.New("the server says more than it was asked")
	}
	c.answered(k)
	if err := c.plan.Script.Answer(i, a.status, a.body); err != nil {
		return false, err
	}
	k.have = 0
	if a.closes {
		return true, c.connect(i)
	}
	return true, nil
}

func (c *client) answered(k *conn) {
	k.waiting = false
	c.waiting--
	c.result.Answered++
	c.result.Latency.Add(time.Since(k.since))
}

// lost opens a connection again that the server closed.
func (c *client) lost(i int) (bool, error) {
	k := &c.conns[i]
	was := k.waiting
	if was {
		quitter, ok := c.plan.Script.(Quitter)
		if !ok {
			return false, errors.New("the server closed a connection instead of answering")
		}
		if err := quitter.Quit(i); err != nil {
			return false, err
		}
		k.waiting = false
		c.waiting--
		c.result.Unanswered++
	}
	return was, c.connect(i)
}

// rawIO reads or writes a descriptor that does not block, without telling Go's
// scheduler, which costs as much again.
func rawIO(call uintptr, fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// An answer is what parseAnswer found.
type answer struct {
	status, size int
	body         []byte
	closes       bool
}

var (
	headEnd  = []byte("\r\n\r\n")
	lengthIs = []byte("\r\nContent-Length: ")
	closing  = []byte("\r\nConnection: close")
)

// parseAnswer takes an HTTP/1.1 answer apart, whole once all of it is there. It
// knows what the servers of this bench write, and refuses the rest.
func parseAnswer(in []byte) (a answer, whole bool, err error) {
	end := bytes.Index(in, headEnd)
	if end < 0 {
		return a, false, nil
	}
	head := in[:end+2]
	if len(head) < len("HTTP/1.1 200\r\n") || string(head[:9]) != "HTTP/1.1 " {
		return a, false, fmt.Errorf("an answer begins with %q", head[:min(len(head), 40)])
	}
	for _, digit := range head[9:12] {
		a.status = a.status*10 + int(digit-'0')
	}
	length := 0
	if at := bytes.Index(head, lengthIs); at >= 0 {
		for _, c := range head[at+len(lengthIs):] {
			if c < '0' || c > '9' {
				break
			}
			length = min(length*10+int(c-'0'), answerBytes)
		}
	} else if a.status != 204 {
		return a, false, fmt.Errorf("an answer has no length: %q", head)
	}
	a.size = end + 4 + length
	if len(in) < a.size {
		return a, false, nil
	}
	a.body, a.closes = in[end+4:a.size], bytes.Contains(head, closing)
	return a, true, nil
}
