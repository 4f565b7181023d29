// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/publishing"
)

func TestATokenIsItsActorUntilItEnds(t *testing.T) {
	b := newBench(t)
	op := publishing.Operator()
	ada := actor("ada", publishing.Publisher)
	secret, token, err := b.CreateToken(t.Context(), op, ada, b.now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret, "near_") || len(secret) != 48 {
		t.Errorf("secret %q, want near_ and 256 bits", secret)
	}
	check := func(when, code string) {
		t.Helper()
		got, err := b.Authenticate(t.Context(), secret)
		checkCode(t, when+": the secret", err, code, "")
		again, idErr := b.TokenByID(t.Context(), token.ID)
		checkCode(t, when+": the id", idErr, code, "")
		if code == "" && (got.Actor.Name != "ada" || got.Actor.Role != publishing.Publisher || again.ID != got.ID) {
			t.Errorf("%s: %+v, %+v", when, got, again)
		}
	}
	check("at first", "")
	b.now = b.now.Add(time.Hour)
	check("after its hour", "unauthenticated")
	b.now = b.now.Add(-time.Minute)
	checkCode(t, "revoke", b.RevokeToken(t.Context(), op, token.ID), "", "")
	check("revoked", "unauthenticated")
	checkCode(t, "revoke again", b.RevokeToken(t.Context(), op, token.ID), "not_found", "id")
}

func TestOnlyTheSecretItselfIsGood(t *testing.T) {
	b := newBench(t)
	secret, token, err := b.CreateToken(t.Context(), publishing.Operator(), actor("ada", publishing.Viewer), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", "near_", secret[:len(secret)-1], secret + "A", strings.TrimPrefix(secret, "near_"), token.ID, strings.Repeat("x", 1<<20), "near_" + strings.Repeat("A", 43)} {
		_, err := b.Authenticate(t.Context(), wrong)
		checkCode(t, "authenticate", err, "unauthenticated", "")
	}
}

// Who has the files must not have the tokens.
func TestASecretIsNotOnDisk(t *testing.T) {
	b := newBench(t)
	secret, _, err := b.CreateToken(t.Context(), publishing.Operator(), actor("marker-name", publishing.Viewer), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	err = filepath.WalkDir(b.options.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, text := range []string{secret, strings.TrimPrefix(secret, "near_"), "marker-name"} {
			found[text] = found[text] || bytes.Contains(raw, []byte(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found["marker-name"] || len(found) != 3 {
		t.Error("the token's note is not found: the test proves nothing")
	}
	delete(found, "marker-name")
	for text, is := range found {
		if is {
			t.Errorf("%s is on disk", text)
		}
	}
}

func TestATokenReachesNoFurtherThanItsMaker(t *testing.T) {
	b := newBench(t)
	shopAdmin := actor("ada", publishing.Admin)
	tests := []struct {
		name        string
		by, give    publishing.Actor
		expires     time.Time
		code, field string
	}{
		{"its own site", shopAdmin, actor("bob", publishing.Admin), time.Time{}, "", ""},
		{"another site", shopAdmin, publishing.Actor{Name: "bob", Role: publishing.Viewer, Sites: []string{"other"}}, time.Time{}, "forbidden", "site"},
		{"every site", shopAdmin, publishing.Actor{Name: "bob", Role: publishing.Viewer, Sites: []string{"*"}}, time.Time{}, "forbidden", "site"},
		{"every site by the operator", publishing.Operator(), publishing.Actor{Name: "bob", Role: publishing.Viewer, Sites: []string{"*"}}, time.Time{}, "", ""},
		{"no site", shopAdmin, publishing.Actor{Name: "bob", Role: publishing.Viewer}, time.Time{}, "invalid", "sites"},
		{"what is no site", shopAdmin, publishing.Actor{Name: "bob", Role: publishing.Viewer, Sites: []string{"a.b"}}, time.Time{}, "invalid", "sites"},
		{"no role", shopAdmin, actor("bob", 0), time.Time{}, "invalid", "role"},
		{"a role that is none", shopAdmin, actor("bob", 9), time.Time{}, "invalid", "role"},
		{"no name", shopAdmin, actor("", publishing.Viewer), time.Time{}, "invalid", "name"},
		{"a name with a line break", shopAdmin, actor("bob\nada", publishing.Viewer), time.Time{}, "invalid", "name"},
		{"the operator's name", shopAdmin, actor("operator", publishing.Viewer), time.Time{}, "invalid", "name"},
		{"an end that is past", shopAdmin, actor("bob", publishing.Viewer), b.now, "invalid", "expires"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			secret, _, err := b.CreateToken(t.Context(), tt.by, tt.give, tt.expires)
			checkCode(t, "create", err, tt.code, tt.field)
			if err != nil && secret != "" {
				t.Error("a secret beside an error")
			}
		})
	}
	// An admin of one site sees and ends that site's tokens only.
	all, err := b.Tokens(t.Context(), publishing.Operator())
	if err != nil || len(all) != 2 {
		t.Fatalf("%d tokens, %v; want 2", len(all), err)
	}
	own, err := b.Tokens(t.Context(), shopAdmin)
	if err != nil || len(own) != 1 || own[0].Actor.Sites[0] != "shop" {
		t.Errorf("shop's admin sees %+v, %v", own, err)
	}
	for _, token := range all {
		if token.Actor.Sites[0] == "*" {
			checkCode(t, "revoke", b.RevokeToken(t.Context(), shopAdmin, token.ID), "not_found", "id")
		}
	}
}

// A server's token opens two public routes and nothing of the desk's.
func TestServersAreKnownByTheirTokens(t *testing.T) {
	b := newBench(t)
	op := publishing.Operator()
	secret, token, err := b.CreateToken(t.Context(), op, actor("till-7", publishing.Server), b.now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.CreateToken(t.Context(), op, actor("ada", publishing.Admin), time.Time{}); err != nil {
		t.Fatal(err)
	}
	hash, ok := publishing.HashSecret(secret)
	known := func() map[publishing.SecretHash]publishing.Token {
		t.Helper()
		all, err := b.ServerTokens(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := known(); !ok || len(all) != 1 || all[hash].ID != token.ID {
		t.Errorf("servers %+v, want till-7 alone", all)
	}
	if a := token.Actor; !a.Serves("shop") || a.Serves("blog") || a.Sees("shop") || a.May(publishing.Viewer, "shop") {
		t.Errorf("%+v does not serve shop alone", a)
	}
	if everywhere := (publishing.Actor{Role: publishing.Server, Sites: []string{publishing.AnySite}}); !everywhere.Serves("blog") {
		t.Error("a server of every site does not serve blog")
	}
	for _, role := range []publishing.Role{0, publishing.Viewer, publishing.Admin} {
		if actor("ada", role).Serves("shop") || publishing.Operator().Serves("shop") {
			t.Errorf("%q is taken for a server", role)
		}
	}
	b.now = b.now.Add(time.Hour)
	if all := known(); len(all) != 0 {
		t.Errorf("after its hour: %+v", all)
	}
	b.now = b.now.Add(-time.Minute)
	checkCode(t, "revoke", b.RevokeToken(t.Context(), op, token.ID), "", "")
	if all := known(); len(all) != 0 {
		t.Errorf("revoked: %+v", all)
	}
	for _, none := range []string{"", "near", "Bearer " + secret, "near_" + strings.Repeat("A", 200)} {
		if _, ok := publishing.HashSecret(none); ok {
			t.Errorf("%.20q is taken for a secret", none)
		}
	}
}
