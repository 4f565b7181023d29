// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// A TC string of the IAB's encoder: platform 10, all vendors of two ranges.
const (
	sampleTCF = "CQuV9AAQuV9AAAKA1DENA9EgAP_gAAAAAAAAAAgAAAgQAA"
	sampleGPP = "DBABBg~BEhpmhGY.YA"
)

// firstVector is the text of the first vector of a file whose name has a word in it.
func firstVector(t *testing.T, file, word string) string {
	t.Helper()
	data, err := os.ReadFile("edge/consent/testdata/vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Name, Text string }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if strings.Contains(v.Name, word) {
			return v.Text
		}
	}
	t.Fatalf("no vector of %s is named %s", file, word)
	return ""
}

// withInput runs fn with standard input of text.
func withInput(t *testing.T, text string, fn func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdin
	os.Stdin = r
	defer func() {
		os.Stdin = before
		r.Close()
	}()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = w.WriteString(text) // a reader that stops early is what some tests are about
		w.Close()
	}()
	fn()
	r.Close()
	<-written
}

func TestConsentDecodeJSON(t *testing.T) {
	tests := []struct {
		name, text string
		want       map[string]any // by member, of a member with a dot
	}{
		{"TCF", firstVector(t, "tcf.json", "dense vendors, segments 0 1 2 3"), map[string]any{"version": 2.0, "isServiceSpecific": true, "publisherCC": "GB", "created": "2026-11-23T00:00:00.000Z"}},
		{"GPP", sampleGPP, map[string]any{"header.Version": 1.0, "usca.SaleOptOut": 2.0, "usca.SharingOptOutNotice": 1.0, "usca.Gpc": true}},
		{"US Privacy", "1YYN", map[string]any{"uspv1.Version": 1.0, "uspv1.OptOutSale": "Y", "uspv1.LspaCovered": "N"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got map[string]any
			if err := json.Unmarshal([]byte(cli(t, "consent", "decode", "--json", tt.text)), &got); err != nil {
				t.Fatal(err)
			}
			for path, want := range tt.want {
				have := any(got)
				for name := range strings.SplitSeq(path, ".") {
					have = have.(map[string]any)[name]
				}
				if have != want {
					t.Errorf("%s is %v, want %v", path, have, want)
				}
			}
		})
	}
}

func TestConsentDecodeText(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"TCF", firstVector(t, "tcf.json", "two blocks vendors, segments 0 1 2 3"), []string{"TCF policy version", "Store and/or access information on a device", "1-120, 800-999", "vendors allowed"}},
		{"GPP", sampleGPP, []string{"usca (8)", "SaleOptOut                       2 did not opt out", "Gpc                              yes"}},
		{"US Privacy", "1YYN", []string{"opted out of sale                   yes"}},
		{"every section", firstVector(t, "gpp.json", "every section"), []string{"tcfeuv2 (2)", "tcfcav1 (5)", "express", "usri (27)", "SensitiveDataProcessing", "mode"}},
		{"no section", "DBAA", []string{"no section"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := cli(t, "consent", "decode", tt.text)
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}

func TestConsentDecodeReadsStandardInput(t *testing.T) {
	withInput(t, sampleGPP+"\n", func() {
		if out := cli(t, "consent", "decode", "-"); !strings.Contains(out, "usca (8)") {
			t.Error(out)
		}
	})
}

func TestConsentDecodeRefuses(t *testing.T) {
	tests := []struct {
		name, text, code, field string
	}{
		{"a TC string that is cut", sampleTCF[:8], "truncated", "lastUpdated"},
		{"nothing", "", "empty", "core"},
		{"a section that is cut", sampleGPP[:10], "truncated", "usca.SensitiveDataProcessing"},
		{"a US Privacy string that is cut", "1Y", "truncated", "uspv1"},
		{"a word", "hello", "bad_length", "core"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := command(context.Background(), []string{"consent", "decode", "--json", tt.text}, stdio{out: &out, err: &errs}); code != exitError {
				t.Errorf("exit code %d", code)
			}
			var fault consentFault
			if err := json.Unmarshal(out.Bytes(), &fault); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			if string(fault.Error.Code) != tt.code || fault.Error.Field != tt.field || !strings.Contains(errs.String(), "("+tt.code+")") {
				t.Errorf("got %s of %s, want %s of %s\n%s", fault.Error.Code, fault.Error.Field, tt.code, tt.field, errs.String())
			}
		})
	}
	withInput(t, strings.Repeat("A", 1<<20), func() {
		var out, errs bytes.Buffer
		if code := command(context.Background(), []string{"consent", "decode", "-"}, stdio{out: &out, err: &errs}); code != exitError || !strings.Contains(errs.String(), "too_long") {
			t.Errorf("a megabyte: exit code %d, %s", code, errs.String())
		}
	})
}
