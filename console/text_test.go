// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/publishing"
)

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

func allLanguages(t *testing.T) map[string]*language {
	t.Helper()
	list, err := loadLanguages()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*language{}
	for _, l := range list {
		all[l.Tag] = l
	}
	return all
}

func TestEveryTextIsThereInEveryLanguage(t *testing.T) {
	all := allLanguages(t)
	english := all["en"].texts
	for tag, l := range all {
		for _, key := range slices.Sorted(maps.Keys(english)) {
			text := l.texts[key]
			if strings.TrimSpace(text) == "" || text != strings.TrimSpace(text) {
				t.Errorf("%s: %s is %q", tag, key, text)
			}
			got, want := placeholder.FindAllString(text, -1), placeholder.FindAllString(english[key], -1)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s has placeholders %v, want %v", tag, key, got, want)
			}
		}
		for key := range l.texts {
			if english[key] == "" {
				t.Errorf("%s: %s is in no other language", tag, key)
			}
		}
	}
}

// A page is parsed when it is asked for the first time: what does not parse would come up
// only then.
func TestEveryPageParses(t *testing.T) {
	b := openBench(t, nil)
	if want := len(allLanguages(t)) * len(pageNames); len(b.pages) != want {
		t.Fatalf("%d pages are there, want %d", len(b.pages), want)
	}
	for name, parse := range b.pages {
		if page, err := parse(); err != nil || page.Lookup("layout") == nil {
			t.Errorf("page %s: %v", name, err)
		}
	}
}

func TestEveryTextIsTranslated(t *testing.T) {
	// Signs alone are the same in every script.
	signs := []string{"check.of", "condition.is", "condition.true"}
	scripts := map[string]*unicode.RangeTable{"zh-Hans": unicode.Han, "zh-Hant": unicode.Han, "ru": unicode.Cyrillic, "ar": unicode.Arabic}
	all := allLanguages(t)
	for tag, script := range scripts {
		for key, text := range all[tag].texts {
			if !strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(script, r) }) && !slices.Contains(signs, key) {
				t.Errorf("%s: %s is %q", tag, key, text)
			}
		}
	}
}

// What the templates and the code ask for, and nothing else, is in the files.
func TestEveryTextIsUsed(t *testing.T) {
	english := allLanguages(t)["en"].texts
	used := map[string]bool{}
	for month := range 12 {
		used[fmt.Sprintf("month.%d", month)] = true // a condition's value
	}
	use := func(key string) {
		if english[key] == "" {
			t.Errorf("there is no text %q", key)
		}
		used[key] = true
	}
	literal := regexp.MustCompile(`say(?:\(| )"([^"]+)"|wrongField\{[^{}]*"([a-z.]+)"\}|Problem = "([a-z.]+)"`)
	composed := regexp.MustCompile(`(?:printf |Sprintf\()"([a-z]+\.[a-z.]*%s[a-z.]*)"`)
	forms := map[string]bool{}
	for _, pattern := range []string{"page/*.html", "*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range literal.FindAllStringSubmatch(string(raw), -1) {
				use(m[1] + m[2] + m[3])
			}
			for _, m := range composed.FindAllStringSubmatch(string(raw), -1) {
				forms[m[1]] = true
			}
		}
	}
	values := composedTexts(t)
	for form := range forms {
		if values[form] == nil {
			t.Errorf("nobody knows which texts %q asks for", form)
		}
	}
	for form, words := range values {
		for _, word := range words {
			use(strings.Replace(form, "%s", word, 1))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(english)) {
		if !used[key] {
			t.Errorf("nobody says %q", key)
		}
	}
}

// composedTexts are the words that a key is composed with, by its form.
func composedTexts(t *testing.T) map[string][]string {
	t.Helper()
	var purposes, fields []string
	for _, row := range consent.Rows() {
		purposes = append(purposes, row.Name)
	}
	for _, field := range edge.Fields() {
		fields = append(fields, field.Name)
	}
	acts := []string{
		publishing.ActUpload, publishing.ActPublish, publishing.ActShadow, publishing.ActRollout, publishing.ActRemove, publishing.ActRollback,
		publishing.ActRelease, publishing.ActPropose, publishing.ActApprove, publishing.ActReject, publishing.ActToken, publishing.ActRevoke, publishing.ActItems, publishing.ActDeleteItem,
		publishing.ActForget, publishing.ActDropSink, publishing.ActReplayDead, publishing.ActDropDead, publishing.ActVoid,
		publishing.ActRotateKey, publishing.ActRetireKey, publishing.ActResetKeys,
	}
	problems := []string{"internal", "bad_request", "bad_query", "method_not_allowed", "nothing_before"}
	for code := range statuses {
		if code != publishing.CodeUnauthenticated { // that asks to sign in
			problems = append(problems, code)
		}
	}
	var limits []string
	for code, words := range refusals {
		if words == "limit" && !strings.HasPrefix(code, "compile_") && code != "too_large" {
			limits = append(limits, code)
		}
	}
	var ready []string
	for _, s := range samples {
		ready = append(ready, s.name)
	}
	refused := append(slices.Sorted(maps.Values(refusals)), "other")
	return map[string][]string{ // of the roles the first is a server's, which reads no page
		"role.%s": publishing.Roles()[1:], "rung.%s": edge.Rungs[:], "rung.%s.text": edge.Rungs[:],
		"state.%s":   {"live", "shadow", "rollout", "planned", "over", "draft", "review", "archived", publishing.StateWaiting, publishing.StateApproved, publishing.StateRejected},
		"purpose.%s": purposes, "purpose.%s.text": purposes, "field.%s": fields, "act.%s": acts, "limit.%s": limits,
		"reason.%s": {"failed", "budget"}, "decided.%s": {"rule", "default", "no-answer", "no-consent", "failed", "budget", "capped", "suppressed"},
		"verdict.%s": {edge.VerdictHeld, edge.VerdictFailed, edge.VerdictUnknown}, "condition.%s": append(slices.Clone(conditionOps), joins...),
		"size.%s": {"cart", "recent", "bought", "interests", "page.tags"}, "entry.%s": {"interests"},
		"cause.%s": {"refused", "absent", "warming-up", "error"}, "explain.sample.%s": ready, "outside.%s": {"campaign", "variant", "share"}, "proposals.%s": {publishing.StateApproved, publishing.StateRejected},
		"refused.%s": slices.Compact(refused), "problem.%s": problems,
		"done.%s": {
			"signout", "upload", "propose", "same", "approve", "reject", publishing.ActPublish, publishing.ActShadow, publishing.ActRollout,
			publishing.ActRemove, publishing.ActRollback,
		},
	}
}

// A code that a check learns needs words for people who wrote no module.
func TestEveryRefusalHasWords(t *testing.T) {
	constants := regexp.MustCompile(`(?m)^\tCode[A-Za-z]+ += "([a-z_]+)"`)
	limits := regexp.MustCompile(`(?m)^\tlimit[A-Za-z]+: +\{"([a-z-]+)"`)
	found := 0
	for _, pattern := range []string{"../wasm-rules/*.go", "../wasm-rules/bytecode/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range append(constants.FindAllStringSubmatch(string(raw), -1), limits.FindAllStringSubmatch(string(raw), -1)...) {
				found++
				if refusals[m[1]] == "" {
					t.Errorf("%s: a refusal with the code %s has no words", file, m[1])
				}
			}
		}
	}
	if found < 45 {
		t.Errorf("only %d codes were found", found)
	}
}

func TestNumbers(t *testing.T) {
	all := allLanguages(t)
	for _, tt := range []struct{ lang, number, share string }{
		{"en", "1,234,567", "12.5%"},
		{"ru", "1\u00a0234\u00a0567", "12,5\u00a0%"},
		{"ar", "1,234,567", "12.5%"},
	} {
		number, err := all[tt.lang].number(1234567)
		share, err2 := all[tt.lang].share(1250, uint64(10000))
		if number != tt.number || share != tt.share || err != nil || err2 != nil {
			t.Errorf("%s: %q %q %v %v", tt.lang, number, share, err, err2)
		}
	}
	l := all["en"]
	for give, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000"} {
		if got, err := l.number(give); got != want || err != nil {
			t.Errorf("%d is spelled %q, %v", give, got, err)
		}
	}
	if got, _ := l.share(1, 0); got != "–" {
		t.Errorf("one of none is %q", got)
	}
	if _, err := l.number("many"); err == nil {
		t.Error("many is a number")
	}
}
