// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"crypto/tls"
	"io"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A routeLabel names a route in metrics.
type routeLabel uint8

const (
	routeBeacon routeLabel = iota
	routeWithdraw
	routeMine
	routeForget
	routePrivacy
	routeEvents
	routeDecide
	routeTag
	routeHealth
	routeReady
	routeNone   // no such address
	routeUnread // the request could not be read
	routeCount
)

var routeNames = [routeCount]string{"beacon", "withdraw", "mine", "forget", "privacy", "events", "decide", "tag", "healthz", "readyz", "none", "unread"}

// forServers reports whether a route is for the sites' servers, who have keys.
func (r routeLabel) forServers() bool { return r == routeEvents || r == routeDecide }

// reasonCount covers the closed list of reasons.
const reasonCount = int(edge.ReasonPreview) + 1

// authorityCount covers the closed list of authorities.
const authorityCount = int(consent.ByRegion) + 1

// What became of an authority's word about consent.
const (
	wordCounts     = iota // it counts, and nobody disagrees
	wordDisputed          // another signal took away some of what it grants
	wordUnresolved        // it gave no answer that counts
	outcomeCount
)

var outcomeNames = [outcomeCount]string{"counts", "disputed", "unresolved"}

// metrics counts what the collector does. Labels come from closed lists, never
// from a client. It is safe for concurrent use.
type metrics struct {
	requests     [routeCount][5]atomic.Uint64 // by status class
	errors       labelled
	rejected     labelled
	unidentified labelled
	decisions    [reasonCount]atomic.Uint64
	consents     [authorityCount][outcomeCount]atomic.Uint64
	accepted     atomic.Uint64 // events that are on disk
	bots         atomic.Uint64 // beacons of crawlers
	ahead        atomic.Uint64 // beacons of pages that nobody looks at yet
	passed       atomic.Uint64 // slots and facts of pages that cannot be
	panics       atomic.Uint64
	connections  atomic.Int64
	framing      atomic.Uint64 // connections that ended at a request without a certain end
	evicted      atomic.Uint64 // connections closed for waiting when there was no other place
	unlisted     atomic.Uint64 // requests with forwarding headers that are not believed
	bytesIn      atomic.Uint64
	bytesOut     atomic.Uint64
	refused      labelled
	limited      labelled
	handshakes   labelled
	proxyHeaders atomic.Uint64 // that were missing or malformed
	// decideTook is the time until all was decided, answerTook until the answer
	// could be written, its wait for the disk included.
	decideTook, answerTook [asksCount]latency
}

// Why a connection is refused, and how a TLS handshake ends that fails.
const (
	refusedAll      = "all"
	refusedAddress  = "address"
	refusedStranger = "not_a_proxy"
	handshakeFailed = "failed"
	// refusedDescriptors counts attempts to accept one, of which there may be several.
	refusedDescriptors = "descriptors"
)

// The limits that a request or a beacon can meet.
const (
	limitAddress       = "address"
	limitNetwork       = "network"
	limitSiteDecisions = "site_decisions"
	limitSiteEvents    = "site_events"
)

func newMetrics() *metrics {
	codes := []string{"internal", "bad_request"}
	for _, f := range faults[faultJSON:] {
		codes = append(codes, f.code)
	}
	for _, r := range []*refusal{
		errNotFound, errMethod, errMediaType, errEncoding, errBodyTooLarge, errHeaderTooLarge, errRequestTimeout,
		errUnknownSite, errOriginMissing, errURLOrigin, errUnavailable, errNotReady, errTooManyRequests,
		errVersion, errExpectation,
		errBrowser, errKeyInURL, errNoKey, errForeignSite, errOverQuota, errLargeBodies,
		errNoState, errBadState, errErased, errNoEraser, errNamed(""),
	} {
		codes = append(codes, r.code)
	}
	return &metrics{
		errors:       newLabelled(codes...),
		rejected:     newLabelled(slices.Concat(edge.RejectionCodes(), rejectedValues, []string{RejectedEvent, RejectedTime, RejectedSurplus})...),
		unidentified: newLabelled(edge.IdentifyCodes()...),
		refused:      newLabelled(refusedAll, refusedAddress, refusedStranger, refusedDescriptors),
		handshakes:   newLabelled(tls.VersionName(tls.VersionTLS13), tls.VersionName(tls.VersionTLS12), handshakeFailed),
		limited:      newLabelled(limitAddress, limitNetwork, limitSiteDecisions, limitSiteEvents),
	}
}

func (m *metrics) served(route routeLabel, status int) {
	m.requests[route][min(max(status/100, 1), 5)-1].Add(1)
}

func (m *metrics) decided(reason edge.Reason) {
	if int(reason) < reasonCount {
		m.decisions[reason].Add(1)
	}
}

// consented counts on whose word consent was decided, and what became of it.
func (m *metrics) consented(v *consent.Verdict) {
	outcome := wordCounts
	switch {
	case v.Unresolved:
		outcome = wordUnresolved
	case v.Vetoed != 0:
		outcome = wordDisputed
	}
	m.consents[v.Authority][outcome].Add(1)
}

// A labelled is a counter per label of a closed list. What is not in the list
// counts as "other".
type labelled struct {
	labels []string
	counts []atomic.Uint64
}

func newLabelled(labels ...string) labelled {
	labels = append(labels, "other")
	return labelled{labels, make([]atomic.Uint64, len(labels))}
}

func (l *labelled) add(label string) {
	i := slices.Index(l.labels, label)
	if i < 0 {
		i = len(l.labels) - 1
	}
	l.counts[i].Add(1)
}

// WritePrometheus writes the collector's metrics in the Prometheus text format.
// It may be called at any time.
func (s *Server) WritePrometheus(w io.Writer) error {
	_, err := w.Write(s.metrics.appendText(make([]byte, 0, 8<<10)))
	return err
}

func (m *metrics) appendText(b []byte) []byte {
	b = appendHelp(b, "nearside_http_requests_total", "counter", "Requests by route and status class.")
	for route := range m.requests {
		for class := range m.requests[route] {
			if n := m.requests[route][class].Load(); n > 0 {
				b = append(b, `nearside_http_requests_total{route="`...)
				b = append(append(b, routeNames[route]...), `",status="`...)
				b = append(b, byte('1'+class))
				b = append(b, `xx"} `...)
				b = append(strconv.AppendUint(b, n, 10), '\n')
			}
		}
	}
	b = appendHelp(b, "nearside_http_errors_total", "counter", "Requests refused, by code.")
	b = m.errors.appendText(b, "nearside_http_errors_total", "code")
	b = appendHelp(b, "nearside_events_rejected_total", "counter", "Events rejected, by code.")
	b = m.rejected.appendText(b, "nearside_events_rejected_total", "code")
	b = appendHelp(b, "nearside_identify_refused_total", "counter", "Browsers that were not identified, by code.")
	b = m.unidentified.appendText(b, "nearside_identify_refused_total", "code")
	b = appendHelp(b, "nearside_consent_total", "counter", "Beacons by the signal that could grant, and whether its word counts, another signal disputed it, or it gave no answer that counts.")
	for authority := range m.consents {
		for outcome := range m.consents[authority] {
			if n := m.consents[authority][outcome].Load(); n > 0 {
				b = append(b, `nearside_consent_total{authority="`...)
				b = append(append(b, consent.Authority(authority).String()...), `",outcome="`...)
				b = append(append(b, outcomeNames[outcome]...), `"} `...)
				b = append(strconv.AppendUint(b, n, 10), '\n')
			}
		}
	}
	b = appendHelp(b, "nearside_decisions_total", "counter", "Slots answered, by reason.")
	for reason := range m.decisions {
		if n := m.decisions[reason].Load(); n > 0 {
			b = appendSample(b, "nearside_decisions_total", "reason", edge.Reason(reason).String(), n)
		}
	}
	b = appendHelp(b, "nearside_decide_seconds", "histogram", "Beacons and servers' questions decided, by the time from the last byte read to all slots decided and all events made.")
	for asks := range m.decideTook {
		b = m.decideTook[asks].appendText(b, "nearside_decide_seconds", "asks", asksNames[asks])
	}
	b = appendHelp(b, "nearside_answer_seconds", "histogram", "Beacons and servers' questions answered, by the time from the last byte read until all was decided and kept, the wait for the disk included.")
	for asks := range m.answerTook {
		b = m.answerTook[asks].appendText(b, "nearside_answer_seconds", "asks", asksNames[asks])
	}
	b = appendHelp(b, "nearside_connections_refused_total", "counter", "Connections refused, by the limit they met; descriptors: attempts to accept one when there were none left.")
	b = m.refused.appendText(b, "nearside_connections_refused_total", "limit")
	b = appendHelp(b, "nearside_limited_total", "counter", "Requests refused and beacons held to their site's quota, by the limit they met.")
	b = m.limited.appendText(b, "nearside_limited_total", "limit")
	b = appendHelp(b, "nearside_tls_handshakes_total", "counter", "TLS handshakes by the version agreed on, or failed.")
	b = m.handshakes.appendText(b, "nearside_tls_handshakes_total", "result")
	for _, plain := range []struct {
		name, kind, help string
		value            uint64
	}{
		{"nearside_events_accepted_total", "counter", "Events acknowledged: they are on disk.", m.accepted.Load()},
		{"nearside_bot_beacons_total", "counter", "Beacons of crawlers.", m.bots.Load()},
		{"nearside_ahead_beacons_total", "counter", "Beacons of pages loaded ahead, which nobody looks at yet.", m.ahead.Load()},
		{"nearside_parts_refused_total", "counter", "Slots and facts of pages that cannot be and were passed over.", m.passed.Load()},
		{"nearside_forwarded_unlisted_total", "counter", "Requests with forwarding headers of a peer that http.proxies does not list.", m.unlisted.Load()},
		{"nearside_http_received_bytes_total", "counter", "Bytes of requests, without TLS.", m.bytesIn.Load()},
		{"nearside_http_sent_bytes_total", "counter", "Bytes of answers, without TLS.", m.bytesOut.Load()},
		{"nearside_connections_evicted_total", "counter", "Connections that waited for a request, or sent none whole, and were closed to make room.", m.evicted.Load()},
		{"nearside_framing_refused_total", "counter", "Connections closed at a request that could be read in two ways, or is none.", m.framing.Load()},
		{"nearside_proxy_headers_refused_total", "counter", "Connections of trusted proxies without a good PROXY protocol header.", m.proxyHeaders.Load()},
		{"nearside_panics_total", "counter", "Handlers that panicked.", m.panics.Load()},
		{"nearside_connections", "gauge", "Open connections.", uint64(max(0, m.connections.Load()))},
	} {
		b = appendHelp(b, plain.name, plain.kind, plain.help)
		b = append(append(b, plain.name...), ' ')
		b = append(strconv.AppendUint(b, plain.value, 10), '\n')
	}
	return b
}

func (l *labelled) appendText(b []byte, name, label string) []byte {
	for i := range l.labels {
		if n := l.counts[i].Load(); n > 0 {
			b = appendSample(b, name, label, l.labels[i], n)
		}
	}
	return b
}

func appendHelp(b []byte, name, kind, help string) []byte {
	b = append(append(append(append(b, "# HELP "...), name...), ' '), help...)
	b = append(append(append(append(b, "\n# TYPE "...), name...), ' '), kind...)
	return append(b, '\n')
}

func appendSample(b []byte, name, label, value string, n uint64) []byte {
	b = append(append(append(append(b, name...), '{'), label...), `="`...)
	b = append(append(b, value...), `"} `...)
	return append(strconv.AppendUint(b, n, 10), '\n')
}
