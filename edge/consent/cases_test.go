// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite what the case files want with what Evaluate returns")

// A caseFile is one file of testdata/cases or testdata/strings. Signals are in the
// form of the beacon's "consent" member, so that the tag can read the same files.
// It reads those of cases alone: it decodes no strings, and has no say in their age.
type caseFile struct {
	Why     string      `json:"why"`
	Now     string      `json:"now,omitempty"` // a day; testNow without one
	Signals wireSignals `json:"signals"`
	Policy  Policy      `json:"policy"`
	Region  wireRegion  `json:"region"`
	Want    wireVerdict `json:"want"`
}

type wireSignals struct {
	Purposes Purposes    `json:"purposes"`
	Policy   string      `json:"policy,omitempty"`
	Owner    *wireChoice `json:"owner,omitempty"`
	GDPR     *bool       `json:"gdpr,omitempty"`
	TCF      string      `json:"tcf,omitempty"`
	GPP      string      `json:"gpp,omitempty"`
	Sections []int       `json:"gppSid,omitempty"`
	GPC      bool        `json:"gpc,omitempty"`

	Mode map[string]string `json:"gcm,omitempty"`
}

type wireChoice struct {
	Granted Purposes `json:"granted"`
	Refused Purposes `json:"refused"`
}

type wireRegion struct {
	Country     string `json:"country,omitempty"`
	Subdivision string `json:"subdivision,omitempty"`
}

type wireVerdict struct {
	Granted    Set    `json:"granted"`
	Authority  string `json:"authority"`
	Policy     string `json:"policy"`
	Vetoed     Set    `json:"vetoed"`
	Unresolved bool   `json:"unresolved"`
	Reason     Reason `json:"reason,omitempty"`
}

// now is when the case happens.
func (c *caseFile) now(t *testing.T) time.Time {
	t.Helper()
	if c.Now == "" {
		return testNow
	}
	now, err := time.Parse(time.DateOnly, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func (w *wireSignals) signals(t *testing.T) Signals {
	t.Helper()
	s := Signals{Claimed: w.Purposes, TCF: w.TCF, GPP: w.GPP, GPPSections: w.Sections, GPC: w.GPC}
	page, ok := ParsePagePolicy([]byte(w.Policy))
	if !ok {
		t.Fatalf("unknown page policy %q", w.Policy)
	}
	s.PagePolicy = page
	if w.Owner != nil {
		s.Owner = Choice(*w.Owner)
	}
	if w.GDPR != nil {
		s.GDPR = No
		if *w.GDPR {
			s.GDPR = Yes
		}
	}
	for key, value := range w.Mode {
		ParseMode(&s.Mode, []byte(key), []byte(value))
	}
	return s
}

func TestPrecedenceCases(t *testing.T) { checkCases(t, "cases") }

func TestStringCases(t *testing.T) { checkCases(t, "strings") }

func checkCases(t *testing.T, folder string) {
	entries, err := os.ReadDir(filepath.Join("testdata", folder))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatal("no case files")
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			checkCase(t, filepath.Join("testdata", folder, entry.Name()))
		})
	}
}

func checkCase(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c caseFile
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	if c.Why == "" {
		t.Error("the case gives no reason")
	}
	s := c.Signals.signals(t)
	v := Evaluate(&s, &c.Policy, Region(c.Region), c.now(t))
	if e := Explain(&s, &c.Policy, Region(c.Region), c.now(t)); e.Verdict != v {
		t.Errorf("explained as %+v, evaluated as %+v", e.Verdict, v)
	}
	got := wireVerdict{
		Granted:    Set(v.Granted),
		Authority:  v.Authority.String(),
		Policy:     v.Policy.String(),
		Vetoed:     Set(v.Vetoed),
		Unresolved: v.Unresolved,
		Reason:     v.Reason,
	}
	if *update {
		c.Want = got
		data, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !reflect.DeepEqual(got, c.Want) {
		t.Errorf("%s\n got %s by %s under %s, vetoed %s, unresolved %t %s\nwant %s by %s under %s, vetoed %s, unresolved %t %s", c.Why,
			v.Granted, got.Authority, got.Policy, v.Vetoed, got.Unresolved, got.Reason,
			Purposes(c.Want.Granted), c.Want.Authority, c.Want.Policy, Purposes(c.Want.Vetoed), c.Want.Unresolved, c.Want.Reason)
	}
}
