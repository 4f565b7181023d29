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

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/sitefile"
)

// refusedBy runs a command that must fail and returns what it writes: results,
// and why.
func refusedBy(t testing.TB, args ...string) (out, errs string) {
	t.Helper()
	var results, why bytes.Buffer
	if code := command(context.Background(), args, stdio{out: &results, err: &why}); code != exitError {
		t.Errorf("nearside %s: exit %d, want it refused: %s%s", strings.Join(args, " "), code, results.String(), why.String())
	}
	return results.String(), why.String()
}

// rewrite replaces text in a file; the text must be there.
func rewrite(t testing.TB, dir, name, old, new string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%s does not hold %q:\n%s", name, old, text)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(new), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

// live returns the shop's live release.
func (n *testNode) live(t testing.TB) *edge.ReleaseDocument {
	t.Helper()
	node := dialAdmin(n.data)
	doc, err := node.liveRelease(context.Background(), "shop")
	if err != nil || doc == nil {
		t.Fatalf("the live release: %v, %v", doc, err)
	}
	return doc
}

// sees returns what the hero slot shows to a visitor with a phone.
func (n *testNode) sees(t testing.TB, granted consent.Purposes) string {
	t.Helper()
	_, text := n.post(t, "/_near/v1/beacon", beaconOf(granted, "s"), nil)
	return text
}

// The whole way: what is live as files, a change, what it would change, applied;
// then somebody else publishes.
func TestSiteFilesFromAnExportToAPage(t *testing.T) {
	n := newShop(t)
	dir := filepath.Join(t.TempDir(), "shop")
	as := func(words ...string) []string { return append(words, "--data", n.data) }
	if out := cli(t, as("export", "--site", "shop", dir)...); !strings.HasPrefix(out, "Release 1 of site shop is in "+dir) {
		t.Errorf("export says %s", out)
	}
	if out := cli(t, as("apply", dir)...); out != "Nothing to change: release 1 of site shop is like that already.\n" {
		t.Errorf("applying what is live says %s", out)
	}
	if out := cli(t, as("diff", dir)...); out != "The files are release 1 of site shop.\n" {
		t.Errorf("the difference of what is live is %s", out)
	}

	rewrite(t, dir, "slots/hero.yaml", "a phone sees this text.", "a phone in the snow.")
	rewrite(t, dir, "slots/hero.yaml", "ladder:\n", "ladder:\n      profile:\n        - name: snow\n          when: 'device.type == \"phone\" && geo.country == \"NO\"'\n          show: tablet\n")
	if out := cli(t, "check", dir); out != "Nothing is wrong with site shop: 1 slot, 2 rules, 3 variants, 0 audiences.\n" {
		t.Errorf("check says %s", out)
	}
	other := t.TempDir()
	if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	rewrite(t, other, "slots/hero.yaml", "because: It is", "because:\n            de: Gemacht.\n            en: It is")
	if out := cli(t, "check", other); !strings.HasSuffix(out, "audiences.\n"+filepath.Join(other, "slots", "hero.yaml")+":17:13: notice: the site has no language de; settings.languages has en\n") {
		t.Errorf("check notices %s", out)
	}
	const words = "added rule hero/snow\nchanged variant hero/phone: content.en.html from «<p>Hello from the edge: a phone sees this text.</p>» to «<p>Hello from the edge: a phone in the snow.</p>»\n"
	if out := cli(t, as("diff", dir)...); out != words {
		t.Errorf("the difference in words is %s", out)
	}
	unified := cli(t, as("diff", "-u", dir)...)
	for _, want := range []string{"--- a/slots/hero.yaml\n+++ b/slots/hero.yaml\n@@ -", "\n+        - name: snow\n", "\n-        en: \"<p>Hello from the edge: a phone sees this text.</p>\"\n+        en: \"<p>Hello from the edge: a phone in the snow.</p>\"\n"} {
		if !strings.Contains(unified, want) {
			t.Errorf("the unified diff lacks %q:\n%s", want, unified)
		}
	}
	if out := cli(t, as("apply", dir)...); out != words+"Applied: release 2 of site shop is live (before: 1).\n" {
		t.Errorf("apply says %s", out)
	}
	if text := n.sees(t, consent.Context); !strings.Contains(text, "a phone in the snow.") {
		t.Errorf("the page shows %s", text)
	}
	if base, err := sitefile.ReadBase(dir); err != nil || base.Number != 2 || base.Hash != sitefile.Hash(n.live(t)) {
		t.Errorf("base %+v, %v", base, err)
	}

	// Somebody else publishes; the files did not see it.
	doc := n.live(t)
	doc.Settings.RetainDays = 30
	text, _ := json.Marshal(doc)
	if err := dialAdmin(n.data).putRelease(context.Background(), "shop", 2, text); err != nil {
		t.Fatal(err)
	}
	rewrite(t, dir, "slots/hero.yaml", "a phone in the snow.", "a phone in the rain.")
	_, why := refusedBy(t, as("apply", dir)...)
	if !strings.Contains(why, "release 3 of site shop is live, and "+dir+" began with release 2: somebody published in between. Nothing was changed.") || !strings.Contains(why, "--over 3 ") {
		t.Errorf("a moved release is refused with %s", why)
	}
	if _, why := refusedBy(t, as("apply", dir, "--over", "2")...); !strings.Contains(why, "release 3 of site shop is live and not 2") {
		t.Errorf("another release than is live is refused with %s", why)
	}
	if _, why := refusedBy(t, as("export", "--site", "shop", dir)...); !strings.Contains(why, "slots/hero.yaml; --force overwrites") || strings.Contains(why, "site.yaml") {
		t.Errorf("an export over somebody's work is refused with %s", why)
	}
	if now := n.live(t); now.Number != 3 || now.Settings.RetainDays != 30 || strings.Contains(n.sees(t, consent.Context), "rain") {
		t.Errorf("what was refused changed release %d", now.Number)
	}
	cli(t, as("apply", dir, "--over", "3")...)
	if now := n.live(t); now.Number != 4 || now.Settings.RetainDays != 0 {
		t.Errorf("release %d keeps events for %d days, want the files'", now.Number, now.Settings.RetainDays)
	}
}

// A rollback brings back what the files began with, under another number; that
// is nobody's change.
func TestSiteFilesFollowWhatAReleaseSays(t *testing.T) {
	n := newShop(t)
	dir := t.TempDir()
	as := func(words ...string) []string { return append(words, "--data", n.data) }
	cli(t, as("export", "--site", "shop", dir)...)
	doc := n.live(t)
	doc.Settings.RetainDays = 30
	text, _ := json.Marshal(doc)
	if err := dialAdmin(n.data).putRelease(context.Background(), "shop", 1, text); err != nil {
		t.Fatal(err)
	}
	cli(t, as("module", "rollback", "--site", "shop")...)
	rewrite(t, dir, "slots/hero.yaml", "a phone", "a telephone")
	if out := cli(t, as("apply", dir)...); !strings.HasSuffix(out, "Applied: release 4 of site shop is live (before: 3).\n") {
		t.Errorf("apply says %s", out)
	}
}

// Whatever is wrong with one file, nothing of the others is published, and all
// that is wrong is told with its place.
func TestApplyIsAllOrNothing(t *testing.T) {
	n := newShop(t)
	dir := t.TempDir()
	cli(t, "export", "--site", "shop", dir, "--data", n.data)
	rewrite(t, dir, "site.yaml", "why: true", "why: true\n  retainDays: 30") // right, and published with the others or not at all
	good, err := os.ReadFile(filepath.Join(dir, "slots/hero.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, old, new string
		want           []string
	}{
		{"no YAML", "slots:", "slots: [", []string{"slots/hero.yaml:"}},
		{"a misspelt key", "kind:", "knd:", []string{`slots/hero.yaml:7:5: unknown-key: a slot has no key "knd"; did you mean kind?`, "missing: a slot has no kind"}},
		{"a condition of a field that is not there", "ladder:\n", "ladder:\n      profile:\n        - {name: r, show: phone, when: 'geo.contry == \"NO\"'}\n", []string{"slots/hero.yaml:10:41: unknown-name: "}},
		{"markup that is not allowed", "<p>Hello from", "<p><script>x</script>Hello from", []string{"slots/hero.yaml:19:17: content: <script> "}},
		{"a variant that a module needs", "name: tablet", "name: tablett", []string{`rule by-device: the module may answer "tablet", and the slot has no such variant`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "slots/hero.yaml"), good, 0o644); err != nil {
				t.Fatal(err)
			}
			rewrite(t, dir, "slots/hero.yaml", tt.old, tt.new)
			out, why := refusedBy(t, "apply", dir, "--data", n.data)
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if !strings.Contains(why, " wrong with the files of "+dir) {
				t.Errorf("it fails with %s", why)
			}
			if checked, _ := refusedBy(t, "check", dir, "--rules.modules", filepath.Join(n.data, "none")); checked != out {
				t.Errorf("check says\n%s\nand apply\n%s", checked, out)
			}
			if base, _ := sitefile.ReadBase(dir); base.Number != 1 || n.live(t).Number != 1 {
				t.Errorf("release %d, base %d, want 1", n.live(t).Number, base.Number)
			}
		})
	}
}

// An export over files that say what is live touches none of them and is no
// error, however they are laid out.
func TestAnExportLeavesTheLayoutOfWhatIsLive(t *testing.T) {
	n := newShop(t)
	dir := t.TempDir()
	as := func(words ...string) []string { return append(words, "--data", n.data) }
	export := as("export", "--site", "shop", dir)
	cli(t, export...)
	rewrite(t, dir, "slots/hero.yaml", "a phone", "a telephone")
	rewrite(t, dir, "slots/hero.yaml", "slots:\n", "# Theirs.\nslots:\n")
	cli(t, as("apply", dir)...)
	if out := cli(t, export...); out != "Release 2 of site shop is in "+dir+" already, laid out otherwise than an export would; --force rewrites the files.\n" {
		t.Errorf("export says %s", out)
	}
	rewrite(t, dir, "slots/hero.yaml", "# Theirs.", "# Still theirs.")
	if base, err := sitefile.ReadBase(dir); err != nil || base.Number != 2 {
		t.Errorf("base %+v, %v", base, err)
	}
	rewrite(t, dir, "slots/hero.yaml", "a telephone", "a mobile")
	if _, why := refusedBy(t, export...); !strings.Contains(why, "changed since the last export, or not of it: slots/hero.yaml") {
		t.Errorf("an export over other words is refused with %s", why)
	}
}

// The commands that an export ends with are about the node that it asked.
func TestAnExportTellsTheNextCommands(t *testing.T) {
	n := newShop(t)
	dir := filepath.Join(t.TempDir(), "ada's shop")
	out := cli(t, "export", "--site", "shop", dir, "--data", n.data, "--token", "secret")
	quoted := "'" + strings.Replace(dir, "'", `'\''`, 1) + "'"
	for _, command := range []string{"check", "diff", "apply"} {
		if want := "\n  nearside " + command + " " + quoted + " --data " + n.data + "\n"; !strings.Contains(out, want) {
			t.Errorf("export says %s, want %s", out, want)
		}
	}
}

// A new site begins with files, and with a data directory that apply makes.
func TestANewSiteBeginsWithFiles(t *testing.T) {
	dir, data := filepath.Join(t.TempDir(), "files"), filepath.Join(t.TempDir(), "data")
	out := cli(t, "site", "files", "shop", dir, "--origin", shopOrigin+"/", "--languages", "en,fr")
	if !strings.Contains(out, "nearside apply "+dir+"\n") || !strings.Contains(out, "--data or --url of a node") {
		t.Errorf("site files says %s", out)
	}
	if _, why := refusedBy(t, "site", "files", "boat", dir, "--origin", "https://boat.example"); !strings.Contains(why, "holds files of a site already") {
		t.Errorf("another site in the same directory is refused with %s", why)
	}
	cli(t, "check", dir)
	var errs bytes.Buffer
	var applied bytes.Buffer
	if code := command(context.Background(), []string{"apply", dir, "--data", data}, stdio{out: &applied, err: &errs}); code != exitOK ||
		!strings.HasSuffix(applied.String(), "Applied: release 1 of site shop is live (before: 0).\n") || !strings.Contains(errs.String(), "written to its files") {
		t.Fatalf("exit %d: %s%s", code, applied.String(), errs.String())
	}
	cfg := testConfig()
	cfg.Data = data
	n := startNode(t, cfg)
	if text := n.sees(t, consent.Context); !strings.Contains(text, `"rule":"for-phone"`) || !strings.Contains(text, "a phone sees this text") {
		t.Errorf("the page shows %s", text)
	}
	if text := n.sees(t, consent.Measure); strings.Contains(text, "for-phone") {
		t.Errorf("without context the page shows %s", text)
	}

	// Other files of the same site did not begin with that release.
	other := filepath.Join(t.TempDir(), "other")
	cli(t, "site", "files", "shop", other, "--origin", "https://other.example")
	if _, why := refusedBy(t, "apply", other, "--data", data); !strings.Contains(why, "release 1 of site shop is live, and "+other+" did not begin with it") {
		t.Errorf("refused with %s", why)
	}
	if n.live(t).Number != 1 {
		t.Error("what was refused changed the site")
	}
}

// The files of one site may begin another, and stay those of the first.
func TestFilesMayBeginAnotherSite(t *testing.T) {
	n := newShop(t)
	dir := t.TempDir()
	cli(t, "export", "--site", "shop", dir, "--data", n.data)
	if out := cli(t, "apply", dir, "--site", "staging", "--data", n.data); !strings.HasSuffix(out, "Applied: release 1 of site staging is live (before: 0).\n") {
		t.Errorf("apply says %s", out)
	}
	if base, err := sitefile.ReadBase(dir); err != nil || base.Site != "shop" || base.Number != 1 {
		t.Errorf("base %+v, %v", base, err)
	}
	rewrite(t, dir, "slots/hero.yaml", "a phone", "a telephone")
	if _, why := refusedBy(t, "apply", dir, "--site", "staging", "--data", n.data); !strings.Contains(why, "release 1 of site staging is live") {
		t.Errorf("a site that is there already is refused with %s", why)
	}
	if n.live(t).Number != 1 {
		t.Error("the shop changed")
	}
}

// The demo's own release comes back from its files.
func TestTheDemoComesBackFromFiles(t *testing.T) {
	n := startNode(t, demoConfig(t.TempDir()))
	dir := t.TempDir()
	cli(t, "export", "--site", "demo", dir, "--data", n.data)
	cli(t, "check", dir, "--data", n.data)
	files, err := sitefile.Read(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	want := n.demoRelease(t)
	if changes := sitefile.Changes(&want, &files.Document); len(changes) > 0 {
		t.Errorf("the files differ: %v", changes)
	}
	if sitefile.Hash(&files.Document) != sitefile.Hash(&want) {
		t.Error("the files have another hash")
	}
	if out := cli(t, "apply", dir, "--data", n.data); !strings.HasPrefix(out, "Nothing to change") {
		t.Errorf("apply says %s", out)
	}
}

// Where a site wants a second person, applied files wait; once they are
// approved, they are what the next change goes on from.
func TestAppliedFilesWaitForASecondPerson(t *testing.T) {
	cfg := testConfig()
	cfg.AdminAddr = "127.0.0.1:0"
	n := startNode(t, cfg)
	dir := t.TempDir()
	cli(t, "site", "files", "shop", dir, "--origin", shopOrigin)
	rewrite(t, dir, "site.yaml", "why: true", "why: true\n  secondPerson: true")
	cli(t, "apply", dir, "--data", n.data)
	as := func(name string) []string {
		secret := strings.TrimSpace(cli(t, "token", "create", name, "--role", "publisher", "--site", "shop", "--data", n.data))
		return []string{"--url", n.admin, "--token", secret}
	}
	ada, ben := as("ada"), as("ben")
	rewrite(t, dir, "slots/hero.yaml", "a phone", "a telephone")
	out := cli(t, append([]string{"apply", dir}, ada...)...)
	_, id, ok := strings.Cut(out, "nearside module approve ")
	if !ok {
		t.Fatalf("apply says %s", out)
	}
	if n.live(t).Number != 1 {
		t.Error("nobody approved it")
	}
	cli(t, append([]string{"module", "approve", strings.Fields(id)[0], "--site", "shop"}, ben...)...)
	rewrite(t, dir, "slots/hero.yaml", "a telephone", "a mobile")
	if out := cli(t, append([]string{"apply", dir}, ben...)...); !strings.Contains(out, "nearside module approve ") {
		t.Errorf("the next change says %s", out)
	}
}
