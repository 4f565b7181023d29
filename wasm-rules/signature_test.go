// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"crypto/rand"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/nearside/nearside/edge"
)

// What the minisign tool, version 0.11, wrote for SignedText of signedRef at
// site demo: with hashing, its default, and without (-l).
const (
	minisignKey = `untrusted comment: minisign public key CB0ED8B9DBF91C2A
RWQqHPnbudgOy/RUvzf5XCwgbjXlP99Rf64MzGovXu5Hl3pHurvPAigZ
`
	minisignHashed = `untrusted comment: signature from minisign secret key
RUQqHPnbudgOyxlIeFLbPhYFQxjeCYXfA+4n1GQmElnCcQc5EgrlVxq/+5Hu7oPNJu53BQlV+MJKacD4bI9fcxWv+PZ7qA11RAY=
trusted comment: demo
ap5hgI9ILLsyRt013vgFmoeqpx9+e44cPj9j/HJBLwpy4SDNVtwVuuI5fQFd6SZpN5/ELhrVYKKgxq3SuWJTCw==
`
	minisignLegacy = `untrusted comment: signature from minisign secret key
RWQqHPnbudgOy4tdWpLpRxCKA2m6bc+VamLxVqyYPryD9ttHiMdPvDdpVrmW+agV28xvYv51LcaoDrew/9E9zCH42ob0K0DatwI=
trusted comment: timestamp:1795742282	file:m
2Tm68D2yHAcYnTAlt9aUHZdM+Ir0bGExaoykT/Itw6VGtbMttl3IAhjU7kILsL4Xq8hOUHf2sof5tTnS/+jDCA==
`
)

func signedRef(signature string) edge.ModuleRef {
	return edge.ModuleRef{Name: "test", Version: "1", Hash: strings.Repeat("0123456789abcdef", 4), Signature: signature}
}

func TestKeysTakeWhatMinisignWrites(t *testing.T) {
	for _, text := range []string{minisignKey, strings.SplitN(minisignKey, "\n", 2)[1]} {
		key, err := ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		for name, signature := range map[string]string{"hashed": minisignHashed, "not hashed": minisignLegacy} {
			if err := (Keys{key}).Verify("demo", signedRef(signature)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestKeysRefuse(t *testing.T) {
	key, err := ParseKey(minisignKey)
	if err != nil {
		t.Fatal(err)
	}
	keys := Keys{key}
	_, other, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(site *string, ref *edge.ModuleRef)
		want   string
	}{
		{"no signature", func(_ *string, ref *edge.ModuleRef) { ref.Signature = "" }, CodeUnsigned},
		{"another site", func(site *string, _ *edge.ModuleRef) { *site = "demo2" }, CodeBadSignature},
		{"another name", func(_ *string, ref *edge.ModuleRef) { ref.Name = "tests" }, CodeBadSignature},
		{"another version", func(_ *string, ref *edge.ModuleRef) { ref.Version = "2" }, CodeBadSignature},
		{"another hash", func(_ *string, ref *edge.ModuleRef) { ref.Hash = strings.Repeat("0", 64) }, CodeBadSignature},
		{"another comment", func(_ *string, ref *edge.ModuleRef) {
			ref.Signature = strings.Replace(ref.Signature, "comment: demo", "comment: dome", 1)
		}, CodeBadSignature},
		{"a key nobody trusts", func(site *string, ref *edge.ModuleRef) {
			ref.Signature = string(minisign.Sign(other, SignedText(*site, *ref)))
		}, CodeBadSignature},
		{"text that is no signature", func(_ *string, ref *edge.ModuleRef) { ref.Signature = "signed by me" }, CodeBadSignature},
		{"text that is too long", func(_ *string, ref *edge.ModuleRef) {
			ref.Signature = strings.Replace(ref.Signature, "signature", strings.Repeat("signature", edge.MaxSignatureBytes), 1)
		}, CodeBadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site, ref := "demo", signedRef(minisignHashed)
			tt.change(&site, &ref)
			wantCode(t, keys.Verify(site, ref), tt.want)
			if err := Keys(nil).Verify(site, ref); err != nil {
				t.Errorf("without keys: %v", err)
			}
		})
	}
}

func TestParseKeyRefusesWhatIsNoKey(t *testing.T) {
	for _, text := range []string{"", "RWQ", minisignHashed} {
		if _, err := ParseKey(text); err == nil || !strings.Contains(err.Error(), "trusted key") {
			t.Errorf("%q gave %v", text, err)
		}
	}
}

// TestLoadChecksTheSignature has a host with a trusted key: what is not built
// in must be signed for the site, whatever was loaded before.
func TestLoadChecksTheSignature(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	source := handMade(assemble(minimal()))
	h := newHost(t, Options{Source: Chain(Embedded(), source), TrustedKeys: Keys{public}})
	ref := source.ref()
	ref.Signature = string(minisign.Sign(private, SignedText("demo", ref)))
	if _, err := h.Load("demo", ref, nil); err != nil {
		t.Fatal(err)
	}
	_, err = h.Load("other", ref, nil)
	wantCode(t, err, CodeBadSignature)
	ref.Signature = ""
	_, err = h.Load("demo", ref, nil)
	wantCode(t, err, CodeUnsigned)

	list, err := Embedded().List()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if _, err := h.Load("demo", edge.ModuleRef{Name: m.Manifest.Name, Version: m.Manifest.Version, Hash: m.Hash}, nil); err != nil {
			t.Errorf("built-in %s: %v", m.Manifest.ID(), err)
		}
	}
}

// Keys may change while a host runs, for the next load and the next check.
func TestTrustReplacesTheKeys(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	source := handMade(assemble(minimal()))
	h := newHost(t, Options{Source: source, TrustedKeys: Keys{public}})
	checker := h.Checker()
	ref := source.ref()
	ref.Signature = string(minisign.Sign(private, SignedText("demo", ref)))
	load := func() error {
		_, err := h.Load("demo", ref, nil)
		if checked := checker.Verify("demo", ref); (err == nil) != (checked == nil) {
			t.Errorf("the host says %v, its checker %v", err, checked)
		}
		return err
	}
	if err := load(); err != nil {
		t.Fatal(err)
	}
	h.Trust(Keys{other})
	wantCode(t, load(), CodeBadSignature)
	h.Trust(Keys{other, public})
	if err := load(); err != nil {
		t.Error(err)
	}
	h.Trust(nil)
	ref.Signature = ""
	if err := load(); err != nil {
		t.Errorf("without keys: %v", err)
	}
}
