// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConsentPromptPrintsWhatAPageNeeds(t *testing.T) {
	texts := filepath.Join(t.TempDir(), "texts.json")
	if err := os.WriteFile(texts, []byte(`{"title":"Dürfen wir?"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	out := cli(t, "consent", "prompt", "shop", "--lang", "ru", "--version", "2027-01", "--purposes", "measure,share", "--texts", texts, "--http.prefix", "/edge", "--count", "--shown", "--page-keeps")
	for _, part := range []string{
		`href="/edge/prompt.css"`, `src="/edge/prompt.js" data-site="shop" data-count>`, `data-near-prompt="2027-01" data-near-keep="page" lang="ru"`,
		"Dürfen wir?", `value="measure"`, `value="share"`, "Отказаться", "data-near-reopen",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("no %s in\n%s", part, out)
		}
	}
	for _, part := range []string{`value="storage"`, " hidden>\n<div"} {
		if strings.Contains(out, part) {
			t.Errorf("%s is in\n%s", part, out)
		}
	}
}

func TestConsentPromptRefuses(t *testing.T) {
	dir := t.TempDir()
	list, large := filepath.Join(dir, "list.json"), filepath.Join(dir, "large.json")
	for name, text := range map[string]string{list: `["a"]`, large: `{"title":"` + strings.Repeat("a", maxPromptTexts) + `"}`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for says, args := range map[string][]string{
		`"Shop!" is no site's id`:              {"Shop!"},
		`--version "1.0" is not`:               {"shop", "--version", "1.0"},
		`--purposes:`:                          {"shop", "--purposes", "fun"},
		`the prompt has no text "title" in de`: {"shop", "--lang", "de"},
		"is no JSON object of strings":         {"shop", "--texts", list},
		"is larger than 65536 bytes":           {"shop", "--texts", large},
		"no such file":                         {"shop", "--texts", filepath.Join(dir, "none")},
		`argument "twice" is one too many`:     {"shop", "twice"},
		"argument SITE is missing":             {},
	} {
		var out, errs bytes.Buffer
		code := command(context.Background(), append([]string{"consent", "prompt"}, args...), stdio{out: &out, err: &errs})
		if code == exitOK || out.Len() > 0 {
			t.Errorf("%q: exit %d, printed %q", args, code, out.String())
		}
		if !strings.Contains(errs.String(), says) {
			t.Errorf("%q says %q, want %q", args, errs.String(), says)
		}
	}
}
