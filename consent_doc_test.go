// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
)

// consentExample is a command of docs/CONSENT.md with what it prints.
var consentExample = regexp.MustCompile("(?s)```console\n\\$ (?:echo '([^']*)' \\| )?nearside (consent [^\n]*)\n(.*?)```\n")

func TestConsentPage(t *testing.T) {
	const page = "docs/CONSENT.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	run := func(example []byte) []byte {
		examples++
		m := consentExample.FindSubmatch(example)
		var out bytes.Buffer
		withInput(t, string(m[1]), func() {
			command(context.Background(), strings.Fields(string(m[2])), stdio{out: &out, err: &out})
		})
		head, _, _ := bytes.Cut(example[len("```console\n"):], []byte("\n"))
		printed := regexp.MustCompile(" +\n").ReplaceAllString(out.String(), "\n")
		return []byte("```console\n" + string(head) + "\n" + printed + "```\n")
	}
	want := consentExample.ReplaceAllFunc(text, run)
	if examples < 5 || examples != strings.Count(string(text), "```console\n") {
		t.Errorf("read %d examples of %d", examples, strings.Count(string(text), "```console\n"))
	}
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, want) {
		t.Errorf("%s prints what the commands do not; go test . -run TestConsentPage -update writes it:\n%s", page, want)
	}
}
