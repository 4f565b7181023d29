// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The cores of a run: one for the server that is measured, one for the client.
const (
	serverCore = 0
	clientCore = 1
)

// goProcs is GOMAXPROCS of every peer in Go. One core does not mean one processor: what
// blocks keeps its own. Ours sets its own (docs/RATIONALE.md).
const goProcs = "2"

// A server is a process that is measured, pinned to its core.
type server struct {
	name  string
	addr  netip.AddrPort
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	how   error         // it ended, then
}

// start starts a command and waits until it says where it listens: the first line
// of its output that has http://HOST:PORT. Without announce it listens at addr.
func start(name string, addr netip.AddrPort, command ...string) (*server, error) {
	s := &server{name: name, addr: addr, ended: make(chan struct{})}
	s.cmd = exec.Command("taskset", append([]string{"-c", strconv.Itoa(serverCore)}, command...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaint strings.Builder
	s.cmd.Stderr = &limited{&complaint, 4 << 10}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	found := make(chan netip.AddrPort, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if at, ok := announced(lines.Text()); ok {
				select {
				case found <- at:
				default:
				}
			}
		}
		_, _ = io.Copy(io.Discard, out)
		s.how = s.cmd.Wait()
		close(s.ended)
	}()
	if s.addr.IsValid() {
		found <- s.addr
	}
	select {
	case s.addr = <-found:
		if err := s.awaitOpen(); err != nil {
			s.stop()
			return nil, fmt.Errorf("%w: %s", err, complaint.String())
		}
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("%s: %w: %s", name, s.how, complaint.String())
	case <-time.After(time.Minute):
		s.stop()
		return nil, fmt.Errorf("%s: does not say where it listens: %s", name, complaint.String())
	}
}

// awaitOpen waits until the server takes connections.
func (s *server) awaitOpen() error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(s.addr.Port()), Addr: s.addr.Addr().As4()})
		unix.Close(fd)
		if err == nil {
			return nil
		}
	}
	return errors.New(s.name + ": takes no connection")
}

func announced(line string) (netip.AddrPort, bool) {
	_, rest, ok := strings.Cut(line, "http://127.0.0.1:")
	if !ok {
		return netip.AddrPort{}, false
	}
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	at, err := netip.ParseAddrPort("127.0.0.1:" + digits)
	return at, err == nil
}

// stop ends the process, gracefully at first.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// cpu is what the process has used so far, user and system.
func (s *server) cpu() (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat cannot be read")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// clockTick is the unit of /proc/PID/stat and /proc/stat: 100 Hz on all Linux.
const clockTick = 10 * time.Millisecond

// resident is the process's memory in bytes.
func (s *server) resident() (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0, errors.New("/proc/PID/statm cannot be read")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// machineBusy is what all processes have used so far, on all cores.
func machineBusy() (time.Duration, error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	var busy int64
	for i, field := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		if i < 8 && i != 3 && i != 4 { // all but idle and waiting for disks; guests are in user
			busy += n
		}
	}
	return time.Duration(busy) * clockTick, nil
}

// ownCPU is what this process has used so far. A client that waits looks again and
// again, so it is more than the client was at work.
func ownCPU() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// pin keeps every thread of this process on the client's core.
func pin() error {
	var set unix.CPUSet
	set.Set(clientCore)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// A limited keeps the first bytes of what is written.
type limited struct {
	to   *strings.Builder
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.to.Write(p[:n])
	l.left -= n
	return len(p), nil
}

// run runs a command to its end and returns what it printed.
func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(name), err, said)
	}
	return string(said), nil
}
