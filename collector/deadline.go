// SPDX-License-Identifier: Apache-2.0

package collector

import "time"

// slackShare is the share of the shortest time limit by which a connection may be
// broken off too early: a thirtieth is 0.3 of 10 seconds.
const slackShare = 32

// A deadline is until when a connection is read or written: as the server asked,
// and as the connection was told. The server asks three times a request, which the
// connection answers with a lock and a timer each time. So it is told only before
// it is read or written, and when the two differ by more than the slack or it was
// told a later time than asked: it is never late. The zero value is no deadline. It
// belongs to the goroutine that reads and writes.
type deadline struct{ asked, told time.Time }

// isDue reports whether the connection must be told.
func (d *deadline) isDue(slack time.Duration) bool {
	if d.asked.IsZero() || d.told.IsZero() {
		return d.asked != d.told
	}
	early := d.asked.Sub(d.told)
	return early < 0 || early > slack
}

// SetDeadline implements net.Conn, but for a call of Read or Write that is under
// way: it holds from the next one on.
func (g *guest) SetDeadline(t time.Time) error {
	g.reading.asked, g.writing.asked = t, t
	return nil
}

// SetReadDeadline implements net.Conn as SetDeadline does.
func (g *guest) SetReadDeadline(t time.Time) error {
	g.reading.asked = t
	return nil
}

// SetWriteDeadline implements net.Conn as SetDeadline does.
func (g *guest) SetWriteDeadline(t time.Time) error {
	g.writing.asked = t
	return nil
}

func (g *guest) readInTime(b []byte) (int, error) {
	if err := g.tellReading(); err != nil {
		return 0, err
	}
	return g.Conn.Read(b)
}

func (g *guest) writeInTime(b []byte) (int, error) {
	if err := g.tellWriting(); err != nil {
		return 0, err
	}
	return g.Conn.Write(b)
}

// tellDeadlines is for what reads and writes by itself.
func (g *guest) tellDeadlines() error {
	if err := g.tellReading(); err != nil {
		return err
	}
	return g.tellWriting()
}

func (g *guest) tellReading() error {
	d := &g.reading
	if !d.isDue(g.door.slack) {
		return nil
	}
	d.told = d.asked
	return g.Conn.SetReadDeadline(d.asked)
}

func (g *guest) tellWriting() error {
	d := &g.writing
	if !d.isDue(g.door.slack) {
		return nil
	}
	d.told = d.asked
	return g.Conn.SetWriteDeadline(d.asked)
}
