// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// The purposes, as the wire numbers them.
const (
	storage     = 1
	measure     = 2
	context_    = 4
	profile     = 8
	personalise = 16
	share       = 32
	geo         = 64
	device      = 128
)

// A beacon is the wire's beacon, read strictly: a member that is not here is a
// mistake of the tag.
type beacon struct {
	V       int           `json:"v"`
	Site    string        `json:"site"`
	Page    beaconPage    `json:"page"`
	Sent    int64         `json:"sent"`
	Consent beaconConsent `json:"consent"`
	Client  beaconClient  `json:"client"`
	State   string        `json:"state"`
	Why     bool          `json:"why"`
	Events  []beaconEvent `json:"events"`
	Slots   []beaconSlot  `json:"slots"`
	Shown   []string      `json:"shown"`
	// Identify is a token, null, or nothing.
	Identify rawValue        `json:"identify"`
	raw      json.RawMessage // as it came
}

// A rawValue is JSON as it stands, null too, and nil where there was none.
type rawValue []byte

func (v *rawValue) UnmarshalJSON(text []byte) error {
	*v = bytes.Clone(text)
	return nil
}

type beaconPage struct {
	ID       string   `json:"id"`
	URL      string   `json:"url"`
	Ref      string   `json:"ref"`
	Title    string   `json:"title"`
	Type     string   `json:"type"`
	Category string   `json:"category"`
	Tags     []string `json:"tags"`
	Item     string   `json:"item"`
	Lang     string   `json:"lang"`
}

type beaconConsent struct {
	Purposes int    `json:"purposes"`
	Policy   string `json:"policy"`
	Owner    struct {
		Granted int `json:"granted"`
		Refused int `json:"refused"`
	} `json:"owner"`
	GDPR   *bool             `json:"gdpr"`
	TCF    string            `json:"tcf"`
	GPP    string            `json:"gpp"`
	GPPSid []int             `json:"gppSid"`
	GPC    bool              `json:"gpc"`
	GCM    map[string]string `json:"gcm"`
}

type beaconClient struct {
	Langs    []string `json:"langs"`
	Viewport []int    `json:"viewport"`
	Screen   []int    `json:"screen"`
	TZ       string   `json:"tz"`
}

type beaconEvent struct {
	ID    string         `json:"id"`
	Name  string         `json:"name"`
	At    int64          `json:"at"`
	Props map[string]any `json:"props"`
}

type beaconSlot struct {
	Name  string `json:"name"`
	Limit int    `json:"limit"`
	Item  string `json:"item"`
}

// A decision is one slot's answer on the wire.
type decision struct {
	ID      string          `json:"id"`
	Slot    string          `json:"slot"`
	Variant string          `json:"variant,omitempty"`
	Kind    string          `json:"kind"`
	Lang    string          `json:"lang,omitempty"`
	Dir     string          `json:"dir,omitempty"`
	Reason  string          `json:"reason"`
	Because string          `json:"because,omitempty"`
	Content json.RawMessage `json:"content,omitempty"`
}

type rejection struct {
	ID    string `json:"id"`
	Code  string `json:"code"`
	Field string `json:"field,omitempty"`
}

// An answer is the wire's answer to a beacon.
type answer struct {
	V         int         `json:"v"`
	Granted   int         `json:"granted"`
	Decisions []decision  `json:"decisions,omitempty"`
	State     string      `json:"state,omitempty"`
	Accepted  int         `json:"accepted"`
	Rejected  []rejection `json:"rejected,omitempty"`
	Resend    bool        `json:"resend,omitempty"`
}

// decodeBeacon reads a beacon strictly.
func decodeBeacon(body []byte) (*beacon, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	b := &beacon{raw: append([]byte(nil), body...)}
	if err := dec.Decode(b); err != nil {
		return nil, err
	}
	return b, nil
}

var (
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	slotPattern = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

// faults lists what is wrong with a beacon: a limit of the wire that it breaks,
// or a field that it carries without the purpose.
func (b *beacon) faults() (list []string) {
	check := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	has := func(purpose int) bool { return b.Consent.Purposes&purpose != 0 }
	p := &b.Page

	check(b.V == 1 && slotPattern.MatchString(b.Site), "v %d, site %q", b.V, b.Site)
	check(len(p.URL) <= 2048 && len(p.Title) <= 512 && len(p.Ref) <= 2048, "page is over a limit")
	check(len(p.Type) <= 256 && len(p.Category) <= 256 && len(p.Item) <= 256, "a page fact is over its limit")
	check(len(p.Tags) <= 16 && len(b.Client.Langs) <= 16, "%d tags, %d langs", len(p.Tags), len(b.Client.Langs))
	for _, tag := range p.Tags {
		check(len(tag) <= 64, "tag %q", tag)
	}
	check(len(b.Events) <= 64 && len(b.Slots) <= 32 && len(b.Shown) <= 16, "%d events, %d slots, %d shown", len(b.Events), len(b.Slots), len(b.Shown))

	check(has(measure) || p.ID+p.Title == "" && b.Client.Viewport == nil && b.Events == nil && b.Sent == 0,
		"page id, title, viewport, sent or events without measure")
	check(has(context_) || p.Type+p.Category+p.Item+p.Lang == "" && p.Tags == nil && b.Client.Langs == nil,
		"page facts or languages without context")
	check(has(context_) || b.Slots == nil, "slots without context")
	check(has(context_) || has(measure) || p.Ref == "", "referrer without context and measure")
	check(has(storage) || b.State == "", "state without storage")
	check(has(profile) || b.Identify == nil, "who has signed in without profile")
	check(b.Shown == nil || !has(storage) || !has(measure) || !has(profile), "what was shown where the state knows")
	check(b.Shown == nil || b.Slots != nil, "what was shown without a slot that it could hold back")
	check(has(device) || b.Client.Screen == nil && b.Client.TZ == "", "screen or time zone without device")

	u, err := url.Parse(p.URL)
	check(err == nil && u.Fragment == "", "url %q", p.URL)
	for name := range u.Query() {
		check(name == "near_preview" || strings.HasPrefix(name, "utm_") && has(measure) || strings.HasSuffix(name, "clid") && has(share),
			"url parameter %q with purposes %d", name, b.Consent.Purposes)
	}
	for _, event := range b.Events {
		check(idPattern.MatchString(event.ID) && namePattern.MatchString(event.Name), "event %q %q", event.ID, event.Name)
		check(strings.HasPrefix(event.ID, p.ID+"."), "event %q is not of page %q", event.ID, p.ID)
		check(event.Props != nil && event.At > 0 && event.At <= b.Sent, "event %q has no props or no time", event.ID)
	}
	return list
}

func TestFaultsAreFound(t *testing.T) {
	tests := []struct{ name, give string }{
		{"an event without measure", `{"v":1,"site":"a","page":{"url":"http://a/"},"consent":{"purposes":4},"events":[]}`},
		{"a slot without context", `{"v":1,"site":"a","page":{"url":"http://a/"},"consent":{"purposes":2},"slots":[{"name":"x"}]}`},
		{"a parameter that nothing allows", `{"v":1,"site":"a","page":{"url":"http://a/?q=1"},"consent":{"purposes":255}}`},
		{"a campaign without measure", `{"v":1,"site":"a","page":{"url":"http://a/?utm_source=x"},"consent":{"purposes":4}}`},
		{"the time zone without device", `{"v":1,"site":"a","page":{"url":"http://a/"},"consent":{"purposes":6},"client":{"tz":"UTC"}}`},
		{"who has signed in without profile", `{"v":1,"site":"a","page":{"url":"http://a/"},"consent":{"purposes":7},"identify":null}`},
		{"what was shown where the state knows", `{"v":1,"site":"a","page":{"url":"http://a/"},"consent":{"purposes":15},"slots":[{"name":"hero"}],"shown":["d0.hero"]}`},
		{"what was shown without a slot that it could hold back", `{"v":1,"site":"a","page":{"url":"http://a/"},"consent":{"purposes":6},"shown":["d0.hero"]}`},
		{"state without storage", `{"v":1,"site":"a","page":{"url":"http://a/"},"consent":{"purposes":6},"state":"x"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := decodeBeacon([]byte(tt.give))
			if err != nil {
				t.Fatal(err)
			}
			if len(b.faults()) == 0 {
				t.Error("no fault found")
			}
		})
	}
}
