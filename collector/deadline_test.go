// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net"
	"testing"
	"time"
)

func TestADeadlineIsNeverToldLate(t *testing.T) {
	const slack = 300 * time.Millisecond
	at := time.Now()
	for name, tt := range map[string]struct {
		asked, told time.Time
		want        bool
	}{
		"none, and none told":    {time.Time{}, time.Time{}, false},
		"the first":              {at, time.Time{}, true},
		"none after one":         {time.Time{}, at, true},
		"the same again":         {at, at, false},
		"as much later as may":   {at.Add(slack), at, false},
		"later than that":        {at.Add(slack + 1), at, true},
		"earlier by a moment":    {at.Add(-1), at, true},
		"a request's, when idle": {at.Add(-65 * time.Second), at, true},
	} {
		d := deadline{tt.asked, tt.told}
		if got := d.isDue(slack); got != tt.want {
			t.Errorf("%s: due is %v, want %v", name, got, tt.want)
		}
	}
}

// A tellCounter counts how often a connection is told a deadline.
type tellCounter struct {
	net.Conn
	reading, writing int
}

func (c *tellCounter) SetReadDeadline(t time.Time) error {
	c.reading++
	return c.Conn.SetReadDeadline(t)
}

func (c *tellCounter) SetWriteDeadline(t time.Time) error {
	c.writing++
	return c.Conn.SetWriteDeadline(t)
}

// guestOf returns a guest that reads what the other end writes, over TCP.
func guestOf(t testing.TB, slack time.Duration) (g *guest, told *tellCounter, other net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other = dial(t, ln.Addr().String())
	inner, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = inner.Close()
		_ = ln.Close()
	})
	told = &tellCounter{Conn: inner}
	g = &guest{Conn: told, door: &door{metrics: newMetrics(), begin: time.Now(), slack: slack}, seat: &seat{}, framing: framing{limit: DefaultHeaderLimit}}
	return g, told, other
}

// askAsServer asks for what the HTTP server asks for during one request, and reads
// and writes as it does.
func askAsServer(t *testing.T, c, other net.Conn, space []byte) {
	t.Helper()
	request := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(DefaultIdleTimeout))
	if _, err := other.Write(request); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(space); n != len(request) {
		t.Fatalf("read %d bytes: %v", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(DefaultReadTimeout))
	_ = c.SetWriteDeadline(time.Now().Add(DefaultWriteTimeout))
	if n, err := c.Write(space[:1]); n != 1 {
		t.Fatalf("wrote %d bytes: %v", n, err)
	}
	if n, err := other.Read(space); n != 1 {
		t.Fatalf("got %d bytes: %v", n, err)
	}
}

func TestRequestsInARowTellTheirDeadlinesOnce(t *testing.T) {
	g, told, other := guestOf(t, time.Hour) // however slow this machine is
	space := make([]byte, 100)
	for range 50 {
		askAsServer(t, g, other, space)
	}
	if told.reading != 1 || told.writing != 1 {
		t.Errorf("told %d times until when to read, %d until when to write", told.reading, told.writing)
	}
	// The rest of a request that has begun has less time than a connection that waits.
	begin := time.Now()
	_ = g.SetReadDeadline(begin.Add(50 * time.Millisecond))
	if n, err := g.Read(space); n != 0 || err == nil || !err.(net.Error).Timeout() {
		t.Errorf("read %d bytes: %v", n, err)
	}
	if took := time.Since(begin); took < 50*time.Millisecond || told.reading != 2 {
		t.Errorf("broken off after %v, told %d times", took, told.reading)
	}
	g.door.slack = 0
	askAsServer(t, g, other, space) // a later deadline lets it read again
	if told.reading != 3 || told.writing != 2 {
		t.Errorf("without slack told %d times until when to read, %d until when to write", told.reading, told.writing)
	}
}

// BenchmarkDeadlines is a request's share of a socket's deadlines: told each time,
// and as guests tell them.
func BenchmarkDeadlines(b *testing.B) {
	ask := func(c net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(DefaultIdleTimeout))
		_ = c.SetReadDeadline(time.Now().Add(DefaultReadTimeout))
		_ = c.SetWriteDeadline(time.Now().Add(DefaultWriteTimeout))
	}
	g, told, _ := guestOf(b, DefaultReadTimeout/slackShare)
	b.Run("each", func(b *testing.B) {
		for b.Loop() {
			ask(told)
		}
	})
	b.Run("seldom", func(b *testing.B) {
		for b.Loop() {
			ask(g)
			if err := g.tellDeadlines(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
