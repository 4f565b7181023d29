// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// wireBeacon is a beacon as the wire spells it, for encoding/json to write and
// read: the decoder's second opinion.
type wireBeacon struct {
	V       int         `json:"v"`
	Site    string      `json:"site"`
	Page    wirePage    `json:"page,omitzero"`
	Sent    int64       `json:"sent,omitempty"`
	Consent wireConsent `json:"consent,omitzero"`
	Client  wireClient  `json:"client,omitzero"`
	State   string      `json:"state,omitempty"`
	Why     bool        `json:"why,omitempty"`
	Events  []wireEvent `json:"events,omitempty"`
	Slots   []wireSlot  `json:"slots,omitempty"`
}

type wirePage struct {
	ID       string   `json:"id,omitempty"`
	URL      string   `json:"url,omitempty"`
	Ref      string   `json:"ref,omitempty"`
	Title    string   `json:"title,omitempty"`
	Type     string   `json:"type,omitempty"`
	Category string   `json:"category,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	Item     string   `json:"item,omitempty"`
	Lang     string   `json:"lang,omitempty"`
}

type wireConsent struct {
	Purposes uint32            `json:"purposes"`
	Policy   string            `json:"policy,omitempty"`
	Owner    *wireOwner        `json:"owner,omitempty"`
	GDPR     *bool             `json:"gdpr,omitempty"`
	TCF      string            `json:"tcf,omitempty"`
	GPP      string            `json:"gpp,omitempty"`
	Sections []int             `json:"gppSid,omitempty"`
	GPC      bool              `json:"gpc,omitempty"`
	Mode     map[string]string `json:"gcm,omitempty"`
}

type wireOwner struct {
	Granted uint32 `json:"granted"`
	Refused uint32 `json:"refused"`
}

type wireClient struct {
	Langs    []string `json:"langs,omitempty"`
	Viewport [2]int   `json:"viewport,omitzero"`
	Screen   [2]int   `json:"screen,omitzero"`
	Zone     string   `json:"tz,omitempty"`
}

type wireEvent struct {
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	At    int64           `json:"at"`
	Props json.RawMessage `json:"props,omitempty"`
}

type wireSlot struct {
	Name  string `json:"name"`
	Limit int    `json:"limit,omitempty"`
	Item  string `json:"item,omitempty"`
}

// modeWords are the types of Consent Mode in the order of consent.Mode.
var modeWords = [...]string{"ad_storage", "ad_user_data", "ad_personalization", "analytics_storage",
	"functionality_storage", "personalization_storage", "security_storage"}

// wireOf writes a decoded beacon as the wire spells it.
func wireOf(b *edge.Beacon) wireBeacon {
	w := wireBeacon{
		V: 1, Site: b.Site, Sent: b.SentMillis, State: b.State, Why: b.Why,
		Page: wirePage{b.Page.ID, b.Page.URL, b.Page.Ref, b.Page.Title, b.Page.Type, b.Page.Category,
			slices.Clone(b.Page.Tags), b.Page.Item, b.Page.Lang},
		Client: wireClient{slices.Clone(b.Client.Langs), b.Client.Viewport, b.Client.Screen, b.Client.TimeZone},
		Consent: wireConsent{Purposes: uint32(b.Consent.Claimed), TCF: b.Consent.TCF, GPP: b.Consent.GPP,
			Sections: slices.Clone(b.Consent.GPPSections), GPC: b.Consent.GPC},
	}
	c := &b.Consent
	if c.PagePolicy != consent.Strict {
		w.Consent.Policy = c.PagePolicy.String()
	}
	if c.Owner != (consent.Choice{}) {
		w.Consent.Owner = &wireOwner{uint32(c.Owner.Granted), uint32(c.Owner.Refused)}
	}
	if c.GDPR != consent.Unset {
		yes := c.GDPR == consent.Yes
		w.Consent.GDPR = &yes
	}
	for i, word := range modeWords {
		if c.Mode[i] != consent.Unset {
			if w.Consent.Mode == nil {
				w.Consent.Mode = map[string]string{}
			}
			w.Consent.Mode[word] = map[consent.Tri]string{consent.Yes: "granted", consent.No: "denied"}[c.Mode[i]]
		}
	}
	for _, e := range b.Events {
		w.Events = append(w.Events, wireEvent{e.ID, e.Name, e.AtMillis, bytes.Clone(e.Props)})
	}
	for _, s := range b.Slots {
		w.Slots = append(w.Slots, wireSlot(s))
	}
	return w
}

// bodyWith returns a small beacon with one value put at a path.
func bodyWith(t testing.TB, path string, value any) []byte {
	t.Helper()
	root := map[string]any{"v": 1, "site": "demo"}
	at := root
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		next := map[string]any{}
		at[name] = next
		at = next
	}
	at[names[len(names)-1]] = value
	return []byte(mustJSON(t, root))
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
