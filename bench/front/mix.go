// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/nearside/nearside/bench/traffic"
)

// The kinds of request of a mix.
const (
	kindCollect = iota
	kindPage
	kindDecide
	kindBad
)

// mixed are the kinds of a hundred requests in turn: 40 events, 50 page views, 9
// decisions without an event, one bad one.
var mixed = func() (kinds [100]int) {
	for i := range kinds {
		switch at := i * 37 % 100; { // spread
		case at < 1:
			kinds[i] = kindBad
		case at < 10:
			kinds[i] = kindDecide
		case at < 50:
			kinds[i] = kindCollect
		default:
			kinds[i] = kindPage
		}
	}
	return kinds
}()

// A mix is what a site's visitors and a few broken or hostile clients send. It
// keeps which events the node acknowledged.
type mix struct {
	collect, page, decide *stream
	bad                   []badRequest

	sent     uint64
	kind     []int // of each connection's last request
	badAt    []int
	acked    map[*stream]*bitset
	late     uint64 // page views whose events the node gave back
	refused  uint64 // events that the node had no room for: 503
	hostile  uint64 // bad requests that were answered as they should be
	closed   uint64 // bad requests that the node closed on before the answer was read
	acksSeen uint64
}

// A badRequest is one that must be answered with a status.
type badRequest struct {
	name    string
	request []byte
	status  int
}

func newMix(c *traffic.Corpus, n *numbers, conns int) *mix {
	of := func(shape traffic.Shape) *stream {
		return newStream(c, n.take(), conns, func(v int) traffic.Template { return c.Template(v, shape) })
	}
	m := &mix{collect: of(collectShape), page: of(pageShape).stateful(), decide: of(decideShape), kind: make([]int, conns), badAt: make([]int, conns)}
	m.acked = map[*stream]*bitset{m.collect: {}, m.page: {}}
	for v := range min(badVisitors, len(c.Visitors)) { // a single one would be held to its pace
		m.bad = append(m.bad, badRequests(c, v)...)
	}
	return m
}

// badVisitors is how many visitors send bad requests.
const badVisitors = 64

// badRequests are one of each way to be wrong.
func badRequests(c *traffic.Corpus, visitor int) []badRequest {
	good := c.Template(visitor, collectShape)
	whole := string(good.Append(nil, 1<<59, nil))
	head, body, _ := strings.Cut(whole, "\r\n\r\n")
	head = head[:strings.LastIndex(head, "Content-Length")]
	with := func(head, body string) []byte {
		return fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
	swap := func(old, new string) string {
		if !strings.Contains(body, old) {
			panic("no " + old + " in " + body)
		}
		return strings.Replace(body, old, new, 1)
	}
	pageID := body[strings.Index(body, `"page":{"id":"`)+len(`"page":{"id":"`):][:16]
	return []badRequest{
		{"half a beacon", with(head, body[:len(body)/2]), 400},
		{"not JSON", with(head, "hello"), 400},
		{"a wrong type", with(head, swap(`"v":1`, `"v":"1"`)), 400},
		{"bad UTF-8", with(head, swap(pageID, "p\xff\xfe0000000000000")), 400},
		{"nested deep", with(head, strings.Repeat(`[`, 20_000)), 400},
		{"too large", with(head, swap(`"weather":"`, `"weather":"`+strings.Repeat("x", 70<<10))), 413},
		{"another origin", with(strings.Replace(head, "Origin: "+traffic.Origin, "Origin: https://else.example", 1), body), 403},
		{"no origin", with(strings.Replace(head, "Origin: "+traffic.Origin+"\r\n", "", 1), body), 403},
		{"another site", with(head, swap(`"site":"`+traffic.Site, `"site":"none`)), 404},
		{"another method", []byte(strings.Replace(head, "POST ", "GET ", 1) + "\r\n"), 405},
		{"a bad state", with(head, body[:len(body)-1]+`,"state":"AQABnonsense","slots":["hero"]}`), 200},
	}
}

// Request implements load.Script.
func (m *mix) Request(conn int, out []byte) []byte {
	m.kind[conn] = mixed[m.sent%uint64(len(mixed))]
	m.sent++
	switch m.kind[conn] {
	case kindCollect:
		return m.collect.Request(conn, out)
	case kindPage:
		return m.page.Request(conn, out)
	case kindDecide:
		return m.decide.Request(conn, out)
	default:
		m.badAt[conn] = int(m.hostile+m.closed) % len(m.bad)
		return append(out, m.bad[m.badAt[conn]].request...)
	}
}

var acceptedOne = []byte(`"accepted":1`)

// Answer implements load.Script.
func (m *mix) Answer(conn, status int, body []byte) error {
	switch m.kind[conn] {
	case kindCollect:
		switch status {
		case 204:
			m.ack(m.collect, conn)
		case 503:
			m.refused++
		default:
			return fmt.Errorf("an event is answered with %d: %s", status, body)
		}
		return nil
	case kindPage:
		if err := m.page.Answer(conn, status, body); err != nil {
			return err
		}
		if bytes.Contains(body, acceptedOne) {
			m.ack(m.page, conn)
		} else {
			m.late++
		}
		return nil
	case kindDecide:
		return m.decide.Answer(conn, status, body)
	default:
		if bad := &m.bad[m.badAt[conn]]; status != bad.status {
			return fmt.Errorf("%s is answered with %d, not %d: %s", bad.name, status, bad.status, body)
		}
		m.hostile++
		return nil
	}
}

// Quit implements load.Quitter: who sends too much may be cut off.
func (m *mix) Quit(conn int) error {
	if m.kind[conn] != kindBad {
		return fmt.Errorf("the node closed a good connection")
	}
	m.closed++
	return nil
}

func (m *mix) ack(s *stream, conn int) {
	m.acksSeen++
	m.acked[s].set(s.number[conn] - s.first)
}

// A bitset is a set of small numbers.
type bitset struct{ words []uint64 }

// set adds a number and reports whether it was there.
func (b *bitset) set(n uint64) bool {
	for uint64(len(b.words)) <= n/64 {
		b.words = append(b.words, 0)
	}
	was := b.has(n)
	b.words[n/64] |= 1 << (n % 64)
	return was
}

func (b *bitset) has(n uint64) bool {
	return n/64 < uint64(len(b.words)) && b.words[n/64]&(1<<(n%64)) != 0
}
