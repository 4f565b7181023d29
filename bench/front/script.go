// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nearside/nearside/bench/traffic"
)

// sampleEvery is how many answers go by between two that are read whole. The
// status of each is looked at.
const sampleEvery = 64

// A judge reads an answer and returns the variants that it shows, by slot.
type judge func(body []byte) (map[string]string, error)

// A stream is a corpus sent one visitor after another. It is a load.Script.
type stream struct {
	corpus    *traffic.Corpus
	templates []traffic.Template
	status    int   // that a right answer has
	slots     int   // that are asked for
	read      judge // nil where nothing is decided

	first   uint64   // number below all of this stream's
	next    uint64   // number of the last request; it is never used again
	at      []int    // the visitor of each connection's last request
	number  []uint64 // and its number
	answers uint64
	sampled uint64 // answers that were read whole
	late    uint64 // of these, whose events were not on disk in time

	// A stateful stream carries what the server says of each visitor, who looks at
	// some pages one after another on one connection.
	states [][]byte
	pages  []int
}

// pagesPerVisit is how many pages a visitor of a stateful stream looks at.
const pagesPerVisit = 8

// numbers is where a run's ids begin: no two streams of a run share one.
type numbers struct{ next uint64 }

// take sets aside ids for a stream.
func (n *numbers) take() uint64 {
	n.next += 1 << 36
	return n.next
}

func newStream(c *traffic.Corpus, first uint64, conns int, template func(visitor int) traffic.Template) *stream {
	s := &stream{corpus: c, status: 200, first: first, next: first, at: make([]int, conns), number: make([]uint64, conns), templates: make([]traffic.Template, len(c.Visitors))}
	for i := range s.templates {
		s.templates[i] = template(i)
	}
	return s
}

// stateful makes a stream carry its visitors' state.
func (s *stream) stateful() *stream {
	s.states, s.pages = make([][]byte, len(s.at)), make([]int, len(s.at))
	return s
}

// Request implements load.Script.
func (s *stream) Request(conn int, out []byte) []byte {
	s.next++
	s.number[conn] = s.next
	if s.states == nil {
		s.at[conn] = int(s.next % uint64(len(s.templates)))
		return s.templates[s.at[conn]].Append(out, s.next, nil)
	}
	if s.pages[conn]++; s.pages[conn] > pagesPerVisit || s.pages[conn] == 1 {
		s.pages[conn], s.states[conn] = 1+int(s.next)%(pagesPerVisit/2), s.states[conn][:0]
		s.at[conn] = int(s.next % uint64(len(s.templates)))
	}
	return s.templates[s.at[conn]].Append(out, s.next, s.states[conn])
}

// Answer implements load.Script.
func (s *stream) Answer(conn, status int, body []byte) error {
	if status != s.status {
		return fmt.Errorf("status %d, not %d: %s", status, s.status, body)
	}
	s.answers++
	if s.states != nil {
		if state, ok := stateIn(body); ok {
			s.states[conn] = append(s.states[conn][:0], state...)
		}
	}
	if s.read == nil || s.answers%sampleEvery != 0 {
		return nil
	}
	s.sampled++
	return s.check(s.at[conn], body)
}

// check compares the variants of an answer with those that the rules choose.
func (s *stream) check(visitor int, body []byte) error {
	got, err := s.read(body)
	if errors.Is(err, errLate) {
		s.late++
	} else if err != nil {
		return fmt.Errorf("%w in %s", err, body)
	}
	for i, slot := range traffic.Slots[:s.slots] {
		if want := s.corpus.Wants[visitor][i]; got[slot] != want {
			return fmt.Errorf("%s shows %q, not %q: %s", slot, got[slot], want, body)
		}
	}
	return nil
}

// stateIn finds the state in an answer of ours.
func stateIn(body []byte) ([]byte, bool) {
	const member = `"state":"`
	at := bytes.LastIndex(body, []byte(member))
	if at < 0 {
		return nil, false
	}
	state, _, ok := bytes.Cut(body[at+len(member):], []byte{'"'})
	return state, ok
}

// errLate is what a right answer is read with whose events were not on disk when
// the page could wait no longer: the tag sends them again.
var errLate = errors.New("the events are not on disk yet")

// readDecisions reads an answer of ours, or of a peer that answers alike.
func readDecisions(body []byte) (map[string]string, error) {
	var a struct {
		Decisions []struct{ Slot, Variant string }
		Rejected  []struct{ Code string }
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, err
	}
	got := map[string]string{}
	for _, d := range a.Decisions {
		got[d.Slot] = d.Variant
	}
	if len(a.Rejected) == 0 {
		return got, nil
	}
	if code := a.Rejected[0].Code; code != "unavailable" {
		return nil, errors.New("an event is rejected as " + code)
	}
	return got, errLate
}

// readVariants reads an answer that is an object of variants by slot.
func readVariants(body []byte) (map[string]string, error) {
	var got map[string]string
	err := json.Unmarshal(body, &got)
	return got, err
}

// readResult reads what OPA's server wraps such an object in.
func readResult(body []byte) (map[string]string, error) {
	var got struct {
		Result map[string]string `json:"result"`
	}
	err := json.Unmarshal(body, &got)
	return got.Result, err
}
