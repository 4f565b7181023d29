// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A consentCase is one of the cases that the server's evaluation is held to.
type consentCase struct {
	Signals struct {
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
	} `json:"signals"`
	Policy map[string]any `json:"policy"`
	Want   struct {
		Granted    []string `json:"granted"`
		Authority  string   `json:"authority"`
		Unresolved bool     `json:"unresolved"`
	} `json:"want"`
}

// script has a page give the case's signals as a real page would give them.
func (c *consentCase) script() string {
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format+";\n", args...) }
	answers := map[string]bool{}
	for i, name := range allPurposes {
		switch {
		case c.Signals.Owner.Refused&(1<<i) != 0:
			answers[name] = false
		case c.Signals.Owner.Granted&(1<<i) != 0:
			answers[name] = true
		}
	}
	if len(answers) > 0 {
		add(`near("consent", %s)`, asJSON(answers))
	}
	if len(c.Signals.GCM) > 0 {
		add(`gtag("consent", "update", %s)`, asJSON(c.Signals.GCM))
	}
	if c.Signals.GDPR != nil || c.Signals.TCF != "" {
		add(`__tcfapi = (c, v, f) => f({gdprApplies: %s, eventStatus: "tcloaded", tcString: %q}, true)`,
			strings.Replace(asJSON(c.Signals.GDPR), "null", "undefined", 1), c.Signals.TCF)
	}
	if c.Signals.GPP != "" || c.Signals.GPPSid != nil {
		add(`__gpp = (c, f) => f({pingData: {signalStatus: "ready", gppString: %q, applicableSections: %s}}, true)`,
			c.Signals.GPP, strings.Replace(asJSON(c.Signals.GPPSid), "null", "[]", 1))
	}
	if c.Signals.GPC {
		add(`Object.defineProperty(navigator, "globalPrivacyControl", {value: true})`)
	}
	return b.String()
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // the tests' own values
	}
	return string(text)
}

// withNeeds drops what is granted without what it needs, as the server does
// after it has cut the grant to what the tag claimed.
func withNeeds(granted int) int {
	if granted&storage == 0 {
		granted &^= profile | personalise
	}
	if granted&measure == 0 {
		granted &^= share
	}
	return granted
}

// TestTheTagReadsSignalsAsTheServerDoes gives the tag the signals of the
// server's own cases. What the tag claims must never be less than what the
// server would grant, but for share where a GPP platform is, and the same wherever
// the server knows nothing more: it alone knows the region and the owner's
// settings.
func TestTheTagReadsSignalsAsTheServerDoes(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join("..", "edge", "consent", "testdata", "cases", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("the server's cases are missing (%v)", err)
	}
	s := newShop(t)
	cases := make([]consentCase, len(paths))
	var frames frameSet
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &cases[i]); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		frames.add(s, SnippetOptions{Policy: cases[i].Signals.Policy}, cases[i].script(), "")
	}
	b := frames.open(t, s)
	got := eval[[]struct {
		Granted   int
		Authority string
		Resolved  bool
	}](b, `everyFrame().map(frame => { const now = frame.__now();
		return {Granted: now.granted, Authority: now.authority, Resolved: now.resolved} })`)

	for i, c := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(paths[i]), ".json"), func(t *testing.T) {
			if len(c.Signals.TCF) > 2 || len(c.Signals.GPP) > 2 {
				t.Skip("the server decodes this string; what the platform's API would say beside it is not in the case")
			}
			want := 0
			for _, name := range c.Want.Granted {
				want |= 1 << slices.Index(allPurposes, name)
			}
			if got[i].Authority != c.Want.Authority {
				t.Errorf("authority %s, want %s", got[i].Authority, c.Want.Authority)
			}
			if c.Want.Unresolved && got[i].Resolved {
				t.Error("resolved, though the server says that nobody has answered")
			}
			if c.Signals.GPPSid != nil {
				want &^= share // which the core takes every section to refuse
			}
			claimed := withNeeds(got[i].Granted & c.Signals.Purposes)
			switch {
			case c.Want.Authority == "region" && len(c.Policy) > 0:
				// What the owner's settings open, the page asks for by data-ask.
			case c.Want.Authority == "region" || len(c.Policy) > 0:
				if claimed&want != want {
					t.Errorf("claimed %d, which cannot be narrowed to %d", claimed, want)
				}
			case claimed != want:
				t.Errorf("claimed %d, want %d", claimed, want)
			}
		})
	}
}
