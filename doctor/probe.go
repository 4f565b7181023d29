// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/nearside/nearside/edge"
)

// Bounds of what is read of the node's answers.
const (
	maxTagBytes    = 1 << 20
	maxAnswerBytes = 1 << 20
	// maxAskedSlots is how many slots one beacon may ask for.
	maxAskedSlots = 32
)

// A reply is what came of one question. problem says why there is none.
type reply struct {
	asked   bool
	problem string
	status  int
	header  http.Header
	body    []byte
	tooLong bool
}

// A tagFile is the tag's file as the node, or whoever is there, gives it out.
type tagFile struct {
	reply
	build string // the name of the build that it is, "" for none that is known
}

// nodeAnswers are the node's answers to the doctor's own questions.
type nodeAnswers struct {
	health, beacon reply
	// code is that of the beacon's refusal, "" for none.
	code, message string
	known         map[string]bool // whether the release has a slot, by name
}

// ask asks the node for the tag's file, its health, and in a beacon without events
// that grants nothing whether it knows the site, the page's origin and the slots.
func (x *examination) ask(ctx context.Context) {
	if x.src == nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { x.file.reply = x.fetch(ctx, x.src, maxTagBytes, nil) })
	wg.Go(func() {
		health := *x.src.ResolveReference(&url.URL{Path: "healthz"})
		x.node.health = x.fetch(ctx, &health, maxAnswerBytes, nil)
	})
	if site, ok := x.tag.Attrs["data-site"]; ok && edge.ValidSite(site) {
		wg.Go(func() { x.node.beacon = x.fetch(ctx, x.endpoint("v1/beacon"), maxAnswerBytes, x.question(site)) })
	}
	wg.Wait()
	for _, b := range x.options.Builds {
		if x.file.build == "" && bytes.Equal(b.Script, x.file.body) {
			x.file.build = b.Name
		}
	}
	x.node.understand()
}

// question is a beacon that asks for the page's slots and grants nothing.
func (x *examination) question(site string) []byte {
	names := []string{}
	for _, s := range x.page.doc.Slots {
		if validSlot(s.Name) && len(names) < maxAskedSlots && !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	type pageURL struct {
		URL string `json:"url"`
	}
	type purposes struct {
		Purposes uint32 `json:"purposes"`
	}
	body, err := json.Marshal(struct {
		V       int      `json:"v"`
		Site    string   `json:"site"`
		Page    pageURL  `json:"page"`
		Consent purposes `json:"consent"`
		Slots   []string `json:"slots"`
	}{1, site, pageURL{x.page.origin() + clip(x.page.url.EscapedPath(), 1000)}, purposes{}, names})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return body
}

// fetch asks one question: a POST with a body if there is one, else a GET.
func (x *examination) fetch(ctx context.Context, to *url.URL, most int64, body []byte) reply {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r := reply{asked: true}
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	address := *to
	if originOf(to) == x.page.origin() && originOf(withoutUser(x.options.URL)) == x.page.origin() {
		address.User = x.options.URL.User
	}
	req, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(body))
	if err != nil {
		r.problem = "the address cannot be asked for"
		return r
	}
	req.Header.Set("User-Agent", userAgent)
	if body != nil {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
		req.Header.Set("Origin", x.page.origin())
	}
	res, err := x.client.Do(req)
	if err != nil {
		r.problem = reasonOf(err)
		return r
	}
	defer res.Body.Close()
	r.status, r.header = res.StatusCode, res.Header
	r.body, err = io.ReadAll(io.LimitReader(res.Body, most+1))
	if r.tooLong = int64(len(r.body)) > most; r.tooLong {
		r.body = r.body[:most]
	}
	if err != nil {
		r.problem = "the answer broke off: " + reasonOf(err)
	}
	return r
}

// refused reads the code of a refusal, "" if an answer is none of the collector's.
func refused(body []byte) (code, message string) {
	var answer struct {
		Error struct{ Code, Field, Message string } `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", ""
	}
	message = answer.Error.Message
	if answer.Error.Field != "" {
		message = answer.Error.Field + ": " + message
	}
	return line(answer.Error.Code), line(message)
}

// understand reads the answer to the beacon.
func (n *nodeAnswers) understand() {
	if !n.beacon.asked || n.beacon.problem != "" {
		return
	}
	n.code, n.message = refused(n.beacon.body)
	if n.beacon.status != http.StatusOK {
		return
	}
	var answer struct {
		V         int        `json:"v"`
		Decisions []decision `json:"decisions"`
	}
	if json.Unmarshal(n.beacon.body, &answer) != nil || answer.V != 1 {
		return
	}
	n.known = map[string]bool{}
	for _, d := range answer.Decisions {
		n.known[d.Slot] = d.Reason != edge.ReasonUnknownSlot.String()
	}
}

// isHealthy reports whether /healthz answered as a node does.
func (n *nodeAnswers) isHealthy() bool {
	return n.health.status == http.StatusOK && strings.TrimSpace(string(n.health.body)) == "ok"
}

// takesBeacons reports whether a node took the beacon.
func (n *nodeAnswers) takesBeacons() bool {
	return n.beacon.problem == "" && (n.known != nil || n.beacon.status == http.StatusNoContent)
}

// says describes an answer in a few words.
func (r *reply) says() string {
	if r.problem != "" {
		return r.problem
	}
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.status, line(kind)))
}
