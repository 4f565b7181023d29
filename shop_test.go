// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// moduleRelease is the first release of a site with the rule of a module that is
// at hand in place of the rules without code: what tests of modules begin with.
func moduleRelease(site string) edge.ReleaseDocument {
	doc := firstRelease(site, []string{shopOrigin}, []string{"en"})
	doc.Modules = []edge.ModuleRef{{Name: "by-device"}}
	doc.Slots[0].Ladder[0].Rules = []edge.RuleSpec{{Module: "by-device", Role: "slot", Because: map[string]string{"en": "It is made for your device."}}}
	return doc
}

// addModuleShop adds a site of moduleRelease to a node's data directory.
func addModuleShop(t testing.TB, data, site string) {
	t.Helper()
	document, err := json.Marshal(moduleRelease(site))
	if err != nil {
		t.Fatal(err)
	}
	cfg := defaults()
	cfg.Data = data
	if err := addSite(context.Background(), cfg, site, document, stdio{out: io.Discard, err: io.Discard}); err != nil {
		t.Fatal(err)
	}
}

// site add and site files begin a site with the same: rules that need no code,
// which who exports them may change.
func TestASiteBeginsWithTheSameRulesEitherWay(t *testing.T) {
	n := startNode(t, testConfig())
	cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", n.data)
	exported, made := t.TempDir(), t.TempDir()
	cli(t, "export", "--site", "shop", exported, "--data", n.data)
	cli(t, "site", "files", "shop", made, "--origin", shopOrigin)
	for _, name := range []string{"site.yaml", "slots/hero.yaml"} {
		want, err := os.ReadFile(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(exported, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s after site add is\n%s\nand after site files\n%s%v", name, got, want, err)
		}
	}
	rewrite(t, exported, "slots/hero.yaml", "device.type == \"phone\"", "device.type == \"phone\" || device.type == \"tv\"")
	if out := cli(t, "apply", exported, "--data", n.data); !strings.HasSuffix(out, "Applied: release 2 of site shop is live (before: 1).\n") {
		t.Errorf("apply says %s", out)
	}
	if got := n.hero(t, consent.Context, "a"); got.Rule != "for-phone" {
		t.Errorf("shown: %+v", got)
	}
}
