// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge/consent"
)

// signalsOf writes the signals of one of the evaluation's own cases to a file.
func signalsOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("edge", "consent", "testdata", "strings", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Signals json.RawMessage }
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "consent.json")
	if err := os.WriteFile(file, c.Signals, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConsentExplain(t *testing.T) {
	site := t.TempDir()
	cli(t, "site", "files", "shop", site, "--origin", shopOrigin)
	rewrite(t, site, "site.yaml", "settings:\n", "settings:\n  consent:\n    strictGpc: true\n    tcf: 8\n")
	type outcomes map[string]consent.Outcome
	tests := []struct {
		name, signals string
		flags         []string
		authority     string
		reason        consent.Reason
		outcomes      outcomes
		text          []string
	}{
		{"a TC string", "a-tc-string-that-agrees-to-everything-grants-everything", []string{"--gpc", "--country", "FR"}, "tcf", "",
			outcomes{"storage": consent.Granted, "share": consent.Vetoed}, []string{"share        no       taken away by gpc", "storage      yes      granted by tcf"}},
		{"a TC string of a later day", "a-tc-string-that-agrees-to-everything-grants-everything", []string{"--date", "2028-01-01"}, "tcf", consent.Stale,
			outcomes{"storage": consent.Unresolved}, []string{"older than 13 months (stale)"}},
		{"a US section", "an-opt-out-of-sale-takes-share", []string{"--country", "US", "--region", "CA"}, "gpp", "",
			outcomes{"share": consent.Vetoed, "geo": consent.NotGranted}, []string{"taken away by gpp usca.SaleOptOut"}},
		{"a site's own policy", "an-opt-out-of-sale-takes-share", []string{"--rules", site, "--country", "us", "--region", "ca"}, "gpp", "",
			outcomes{"profile": consent.Vetoed}, nil},
		{"a site that reads a vendor", "a-vendor-with-consent-has-what-the-purposes-grant", []string{"--rules", site}, "tcf", consent.VendorNotDisclosed,
			outcomes{"measure": consent.Unresolved}, []string{"vendor_not_disclosed"}},
		{"a section that is missing", "a-us-section-that-is-not-in-force-does-not-count", nil, "gpp", consent.SectionMissing,
			outcomes{"measure": consent.Unresolved}, []string{"gpp usnat"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"consent", "explain", signalsOf(t, tt.signals), "--date", "2026-11-15"}, tt.flags...)
			var got explanation
			if err := json.Unmarshal([]byte(cli(t, append(args, "--json")...)), &got); err != nil {
				t.Fatal(err)
			}
			if got.Authority != tt.authority || got.Reason != tt.reason || got.Unresolved != (tt.reason != "") {
				t.Errorf("by %s, %q, want %s, %q", got.Authority, got.Reason, tt.authority, tt.reason)
			}
			for _, p := range got.Purposes {
				if want, ok := tt.outcomes[p.Name]; ok && p.Outcome != want {
					t.Errorf("%s is %s by %v, want %s", p.Name, p.Outcome, p.By, want)
				}
				if granted := consent.Purposes(got.Granted).Names(); (p.Outcome == consent.Granted) != strings.Contains(strings.Join(granted, " "), p.Name) {
					t.Errorf("%s is %s and granted is %v", p.Name, p.Outcome, granted)
				}
			}
			text := cli(t, args...)
			for _, want := range tt.text {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
		})
	}
}

func TestConsentExplainReadsWhatACollectorReads(t *testing.T) {
	withInput(t, `{"purposes":1,"owner":{"granted":255,"refused":4},"gcm":{"analytics_storage":"granted","ad_storage":"denied"}}`, func() {
		out := cli(t, "consent", "explain", "-", "--policy", "us-optout", "--country", "US", "--region", "NY")
		for _, want := range []string{"by gcm", `those of "elsewhere"`, "storage      no       not granted by gcm", "granted by gcm, but the tag did not claim it", "owner  context", "gcm    share"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	})
	withInput(t, `{"gdpr":true,"tcf":"CQ"}`, func() {
		if out := cli(t, "consent", "explain", "-"); !strings.Contains(out, "created ends too early (truncated) (malformed)") {
			t.Error(out)
		}
	})
}

func TestConsentExplainRefuses(t *testing.T) {
	file := signalsOf(t, "an-opt-out-of-sale-takes-share")
	wrong := filepath.Join(t.TempDir(), "wrong.json")
	if err := os.WriteFile(wrong, []byte(`{"gppSid":"8"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"a signal of the wrong type": {[]string{wrong}, exitError, "gppSid"},
		"a file that is not there":   {[]string{file + "x"}, exitError, "no such file"},
		"a day that is none":         {[]string{file, "--date", "tomorrow"}, exitUsage, "--date"},
		"a policy that is none":      {[]string{file, "--policy", "eea"}, exitUsage, "--policy"},
		"no file":                    {nil, exitUsage, "FILE is missing"},
	} {
		var out, errs bytes.Buffer
		if code := command(context.Background(), append([]string{"consent", "explain"}, tt.args...), stdio{out: &out, err: &errs}); code != tt.code || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%s: exit code %d, %s", name, code, errs.String())
		}
	}
}

// A reason or an outcome without words would print nothing.
func TestEveryReasonHasWords(t *testing.T) {
	for _, reason := range []consent.Reason{
		consent.NoString, consent.Malformed, consent.OldPolicy, consent.NotServiceSpecific, consent.NoDisclosedVendors, consent.NoPublisher,
		consent.VendorNotDisclosed, consent.Stale, consent.InFuture, consent.SectionsUnknown, consent.SectionMissing, consent.SectionNotKnown, consent.NotApplicable,
	} {
		if reasonWords[reason] == "" {
			t.Errorf("%s has no words", reason)
		}
	}
	for _, outcome := range []consent.Outcome{consent.Granted, consent.Unresolved, consent.NotGranted, consent.Vetoed, consent.NotClaimed, consent.NeedsOther} {
		if !strings.Contains(outcomeWords[outcome], "%s") {
			t.Errorf("%s has no words", outcome)
		}
	}
}
