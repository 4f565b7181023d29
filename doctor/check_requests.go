// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// maxRequests bounds the requests that are reported.
const maxRequests = 100

// A beacon is what the page sent, as far as the report speaks of it.
type beacon struct {
	Consent struct {
		Purposes uint32 `json:"purposes"`
	} `json:"consent"`
	Events []struct {
		Name string `json:"name"`
	} `json:"events"`
	Slots []struct {
		Name string `json:"name"`
	} `json:"slots"`
}

// An answer is what the node said to a beacon.
type answer struct {
	Granted   *uint32    `json:"granted"`
	Decisions []decision `json:"decisions"`
	Rejected  []struct {
		Code string `json:"code"`
	} `json:"rejected"`
	Refused []struct {
		Code  string `json:"code"`
		Field string `json:"field"`
	} `json:"refused"`
}

// isNodes reports whether an address is one of the collector's.
func (x *examination) isNodes(address string) bool {
	return x.src != nil && strings.HasPrefix(address, x.endpoint("v1/").String())
}

// failed says why a request had no answer.
func (r *request) failed() string {
	if r.blocked != "" {
		return line(r.failure + ", blocked by " + r.blocked)
	}
	return line(r.failure)
}

// took is the time from a request to the end of its answer.
func (r *request) took() time.Duration { return max(0, r.end-r.start) }

// parse reads what was sent and answered, as far as it can be read.
func (r *request) parse() (sent beacon, got answer) {
	_ = json.Unmarshal(r.sent, &sent)  // a body that the browser did not keep
	_ = json.Unmarshal(r.answer, &got) // or an answer of something else
	return sent, got
}

// answerFor finds the last answer for a slot, and how long it took.
func (x *examination) answerFor(slot string) (*decision, int64) {
	for _, r := range slices.Backward(x.page.requests) {
		if !x.isNodes(r.url) {
			continue
		}
		_, got := r.parse()
		for i := range got.Decisions {
			if got.Decisions[i].Slot == slot {
				return &got.Decisions[i], r.took().Milliseconds()
			}
		}
	}
	return nil, 0
}

// checkRequests says what the page asked of the node, and what came of it.
func (x *examination) checkRequests() {
	if !x.page.inBrowser || x.src == nil {
		return
	}
	sent, answered, events := 0, 0, 0
	var longest time.Duration
	for _, r := range x.page.requests {
		isTag := r.url == x.src.String()
		if !isTag && !x.isNodes(r.url) || r.method == http.MethodOptions || len(x.report.Requests) == maxRequests {
			continue
		}
		report := x.checkRequest(r)
		x.report.Requests = append(x.report.Requests, report)
		if isTag {
			continue
		}
		sent++
		if report.Status >= 200 && report.Status < 300 {
			answered, events, longest = answered+1, events+report.Events, max(longest, r.took())
		}
	}
	switch {
	case answered > 0:
		x.find("requests-answered", fmt.Sprintf("%s answered, the slowest in %d ms, with %s", counted(answered, "beacon"), longest.Milliseconds(), counted(events, "event")))
	case sent == 0:
		x.find("requests-none", "the page sent the node nothing")
	}
	x.checkConsole()
}

// checkRequest looks at one request of the page to the node.
func (x *examination) checkRequest(r *request) RequestReport {
	sent, got := r.parse()
	report := RequestReport{
		Method: r.method, URL: line(r.url), Status: r.status, Millis: r.took().Milliseconds(), Error: r.failed(), Events: len(sent.Events),
	}
	switch {
	case r.failure != "" && r.status == 0:
		x.find("request-failed", fmt.Sprintf("%s %s: %s", r.method, r.url, r.failed()))
	case !r.isDone:
		report.Error = "no answer while the page was watched"
		x.find("request-failed", fmt.Sprintf("%s %s: %s", r.method, r.url, report.Error))
	case r.status >= 400:
		code, message := refused(r.answer)
		report.Code = code
		x.find("request-refused", fmt.Sprintf("%s %s: %d %s %s", r.method, r.url, r.status, code, message))
	}
	putOff := 0
	for _, one := range got.Rejected {
		switch {
		case one.Code == edge.RejectedUnavailable:
			putOff++
		case len(report.Rejected) < maxRequests:
			report.Rejected = append(report.Rejected, line(one.Code))
		}
	}
	if len(report.Rejected) > 0 {
		x.find("events-rejected", fmt.Sprintf("the node refused %s: %s", counted(len(report.Rejected), "event"), strings.Join(unique(report.Rejected), ", ")))
	}
	if len(got.Refused) > 0 {
		part := got.Refused[0]
		x.find("parts-refused", fmt.Sprintf("the node passed over %s of a request, the first %s: %s", counted(len(got.Refused), "part"), part.Field, part.Code))
	}
	if putOff > 0 {
		x.find("events-put-off", fmt.Sprintf("the node could not store %s in time, and the tag sends them again", counted(putOff, "event")))
	}
	return report
}

// checkConsole tells what the tag said on the console.
func (x *examination) checkConsole() {
	said := 0
	for _, c := range x.page.lines {
		if said == 10 {
			return
		}
		switch {
		case strings.Contains(c.text, " keeps the page's own content: "):
			continue // the findings about slots say it
		case strings.HasPrefix(c.text, "nearside: "):
			x.find("tag-says", strings.TrimPrefix(c.text, "nearside: "))
		case c.isError && strings.Contains(c.text, "near is not defined"):
			x.find("near-not-defined", c.text)
		case c.isError && c.url == x.src.String():
			x.find("tag-error", c.text)
		default:
			continue
		}
		said++
	}
}
