// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

func TestASignatureCoversOneModuleAtOneSite(t *testing.T) {
	secret, public, err := NewKey("")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseKey(string(public))
	if err != nil {
		t.Fatal(err)
	}
	keys := Keys{key}
	ref := edge.ModuleRef{Name: "weather", Version: "1.0.0", Hash: strings.Repeat("ab", 32)}
	signature, err := Sign(secret, "", "shop", ref)
	if err != nil {
		t.Fatal(err)
	}
	signed := ref
	signed.Signature = string(signature)
	if err := keys.Verify("shop", signed); err != nil {
		t.Error(err)
	}
	if keys.Verify("blog", signed) == nil {
		t.Error("it is good at another site")
	}
	signed.Version = "1.0.1"
	if keys.Verify("shop", signed) == nil {
		t.Error("it is good for another version")
	}
	if !strings.Contains(string(signature), "weather@1.0.0 at site shop") {
		t.Errorf("the signature does not say what it is of:\n%s", signature)
	}
}

func TestASecretKeyMayBeEncrypted(t *testing.T) {
	if testing.Short() {
		t.Skip("an encrypted key takes a gigabyte")
	}
	secret, _, err := NewKey("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	ref := edge.ModuleRef{Name: "weather", Version: "1.0.0", Hash: strings.Repeat("ab", 32)}
	for password, want := range map[string]string{"": "no password", "open": "secret key", "open sesame": ""} {
		_, err := Sign(secret, password, "shop", ref)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("password %q: %v", password, err)
		}
	}
	if _, err := Sign([]byte("no key"), "", "shop", ref); err == nil {
		t.Error("a text that is no key signs")
	}
}
