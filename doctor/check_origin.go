// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"net/http"
	"strings"
)

// checkOrigin looks at where the node stands, and whether it takes what the page
// sends.
func (x *examination) checkOrigin() {
	if x.src == nil {
		return
	}
	page := x.page.url
	switch {
	case x.page.doc.Origin == "null":
		x.find("origin-null", "the page has no origin of its own: a sandboxed frame or a sandbox policy")
	case originOf(x.src) == x.page.origin():
		x.find("node-own-origin", fmt.Sprintf("the node is asked at %s, on the page's own origin: its state may be a first-party cookie", x.facts["base"]))
	default:
		x.find("node-other-origin", fmt.Sprintf("the node is asked at %s, on another origin than the page's %s", x.facts["base"], x.page.origin()))
	}
	switch {
	case page.Scheme == "https" && x.src.Scheme == "http" && !isLoopback(x.src.Hostname()):
		x.find("mixed-content", fmt.Sprintf("the page is https and %s is not", x.src))
	case page.Scheme == "http" && !isLoopback(page.Hostname()):
		x.find("page-insecure", "the page is served without TLS")
	}
	if x.checkHealth() {
		x.checkBeacon()
	}
}

// checkHealth says whether a node answers below the prefix; where none does, there
// is no more to ask.
func (x *examination) checkHealth() bool {
	n := &x.node
	switch {
	case n.health.problem != "":
		x.find("node-unreachable", fmt.Sprintf("%shealthz: %s", x.facts["base"], n.health.problem))
	case n.isHealthy():
		x.find("node-answers", fmt.Sprintf("%shealthz answers ok", x.facts["base"]))
		return true
	case n.takesBeacons() || n.code != "":
		x.find("node-health-hidden", fmt.Sprintf("%shealthz answers %s, and the node takes requests all the same", x.facts["base"], n.health.says()))
		return true
	default:
		x.find("node-not-there", fmt.Sprintf("%shealthz answers %s, which no node does", x.facts["base"], n.health.says()))
	}
	return false
}

// checkBeacon says what the node made of a beacon as this page would send it.
func (x *examination) checkBeacon() {
	n := &x.node
	if !n.beacon.asked {
		return // the site is missing, and was reported
	}
	at := x.endpoint("v1/beacon").String()
	switch {
	case n.takesBeacons():
		x.find("node-takes-beacons", fmt.Sprintf("the node knows site %s and allows pages of %s", x.facts["site"], x.page.origin()))
	case n.code == "unknown_site":
		x.find("site-unknown", fmt.Sprintf("the node has no site %q", x.facts["site"]))
	case n.code == "origin_not_allowed":
		x.find("origin-not-allowed", fmt.Sprintf("site %s does not allow pages of %s (%d %s)", x.facts["site"], x.page.origin(), n.beacon.status, n.code))
	case n.code == "url_origin_mismatch":
		x.find("origin-rewritten", fmt.Sprintf("the node takes the page for one of another origin (%d %s)", n.beacon.status, n.code))
	case n.code != "":
		x.find("beacon-refused", fmt.Sprintf("%s answers %d %s: %s", at, n.beacon.status, n.code, n.message))
	case n.beacon.status == http.StatusMethodNotAllowed, n.beacon.status == http.StatusNotFound, strings.HasPrefix(n.beacon.says(), "403"):
		x.find("beacon-not-passed", fmt.Sprintf("%s answers %s, which is not the node's answer", at, n.beacon.says()))
	default:
		x.find("beacon-failed", fmt.Sprintf("%s: %s", at, n.beacon.says()))
	}
}
