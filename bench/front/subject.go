// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nearside/nearside/bench/traffic"
)

// beaconPath is where beacons go.
const beaconPath = "/v1/beacon"

// measureOnly is what an event alone needs.
const measureOnly = 2

// The beacons of ours that are measured.
var (
	decideShape   = traffic.Shape{Path: beaconPath, Granted: traffic.GrantsContext, Slots: 3}
	recordedShape = traffic.Shape{Path: beaconPath, Granted: traffic.GrantsRecorded, Slots: 3}
	collectShape  = traffic.Shape{Path: beaconPath, Granted: measureOnly, Events: 1}
	pageShape     = traffic.Shape{Path: beaconPath, Granted: traffic.GrantsAll, Events: 1, Slots: 2}
)

// ours are the subjects that a node answers; another program's have a longer name.
var ours = []string{"decide", "recorded", "collect", "pageview", "by-key"}

const earlier = "-before"

// A subject is one kind of request at one server.
type subject struct {
	name   string
	server *server // nil if it is not here
	stream func() *stream
	warm   bool
}

// A house is every server of a run and what is sent to them.
type house struct {
	corpus   *traffic.Corpus
	conns    int
	numbers  numbers
	servers  []*server
	subjects map[string]*subject
	node     operator // of our node
}

// openHouse starts every server that is here. What is missing is said to out and
// left out.
func openHouse(ctx context.Context, dir, program, before string, c *traffic.Corpus, conns int, first uint64, out io.Writer) (_ *house, err error) {
	h := &house{corpus: c, conns: conns, numbers: numbers{first}, subjects: map[string]*subject{}, node: operatorOf(dir)}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if program, err = programOr(ctx, dir, program); err != nil {
		return nil, err
	}
	features, err := c.GrowthBook()
	if err != nil {
		return nil, err
	}
	countries, err := unpackCountries(ctx, dir)
	if err != nil {
		return nil, err
	}
	peer := func(name, rules string) (*server, error) {
		config, err := json.Marshal(peerConfig{rules, countries, traffic.Contents()})
		if err != nil {
			return nil, err
		}
		return startPeer(dir, name, config)
	}
	type household struct {
		start    func() (*server, error)
		subjects []*subject
	}
	node := func(program, data, suffix string) household {
		key := ""
		return household{func() (*server, error) {
			s, err := startNearside(ctx, data, program, c)
			if err == nil {
				key, err = serverKey(ctx, data, program)
			}
			return s, err
		}, []*subject{
			h.beacons("decide"+suffix, decideShape, 200, readDecisions), h.beacons("recorded"+suffix, recordedShape, 200, readDecisions),
			h.beacons("collect"+suffix, collectShape, 204, nil), h.pages("pageview" + suffix), h.asked("by-key"+suffix, &key),
		}}
	}
	households := []household{
		{func() (*server, error) { return startPeer(dir, "serve-raw", nil) }, []*subject{h.beacons("raw", decideShape, 204, nil)}},
		node(program, dir, ""),
		{func() (*server, error) { return startPixel(dir) }, []*subject{h.pixels("pixel")}},
		{func() (*server, error) { return startLua(dir, countries, c) }, []*subject{h.beacons("lua", decideShape, 200, readDecisions)}},
		{func() (*server, error) { return peer("serve-growthbook", string(features)) }, []*subject{
			h.beacons("growthbook", decideShape, 200, readDecisions), h.contexts("growthbook-context", "/decide", readVariants),
		}},
		{func() (*server, error) { return peer("serve-opa", c.Rego()) }, []*subject{
			h.beacons("opa", decideShape, 200, readDecisions), h.contexts("opa-context", "/decide", readVariants),
		}},
		{func() (*server, error) { return peer("serve-opa-server", c.Rego()) }, []*subject{h.contexts("opa-server", "/v1/data/near", readResult)}},
	}
	if before != "" {
		data := filepath.Join(dir, "before")
		if err := os.Mkdir(data, 0o755); err != nil {
			return nil, err
		}
		if before, err = filepath.Abs(before); err != nil {
			return nil, err
		}
		households = append(households, node(before, data, earlier))
	}
	for _, one := range households {
		s, err := one.start()
		if err != nil && !errors.Is(err, errMissing) {
			return nil, err
		}
		if err != nil {
			fmt.Fprintf(out, "SKIPPED %s: %v\n", one.subjects[0].name, err)
		} else {
			h.servers = append(h.servers, s)
		}
		for _, subject := range one.subjects {
			subject.server = s
			h.subjects[subject.name] = subject
		}
	}
	return h, nil
}

func (h *house) close() {
	for _, s := range h.servers {
		s.stop()
	}
}

// beacons sends one shape of beacon.
func (h *house) beacons(name string, shape traffic.Shape, status int, read judge) *subject {
	return h.subject(name, func(s *stream) {
		s.status, s.read, s.slots = status, read, shape.Slots
	}, func(v int) traffic.Template { return h.corpus.Template(v, shape) })
}

// pages sends page views with their visitors' state.
func (h *house) pages(name string) *subject {
	return h.subject(name, func(s *stream) {
		s.read, s.slots = readDecisions, pageShape.Slots
		s.stateful()
	}, func(v int) traffic.Template { return h.corpus.Template(v, pageShape) })
}

// pixels asks for an image.
func (h *house) pixels(name string) *subject {
	return h.subject(name, func(*stream) {}, func(v int) traffic.Template { return h.corpus.Pixel(v) })
}

// asked asks as a site's own server does, with a key that is made by then.
func (h *house) asked(name string, key *string) *subject {
	return h.subject(name, func(s *stream) {
		s.read, s.slots = readDecisions, len(traffic.Slots)
	}, func(v int) traffic.Template { return h.corpus.ByKey(v, "/v1/decide", *key, len(traffic.Slots)) })
}

// contexts sends twenty fields.
func (h *house) contexts(name, path string, read judge) *subject {
	return h.subject(name, func(s *stream) {
		s.read, s.slots = read, len(traffic.Slots)
	}, func(v int) traffic.Template { return h.corpus.Context(v, path) })
}

func (h *house) subject(name string, settle func(*stream), template func(visitor int) traffic.Template) *subject {
	var made *stream
	return &subject{name: name, stream: func() *stream {
		if made == nil {
			made = newStream(h.corpus, h.numbers.take(), h.conns, template)
			settle(made)
		}
		return made
	}}
}
