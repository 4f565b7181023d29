// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

var (
	now    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	secret = bytes.Repeat([]byte{7}, SecretBytes)
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a token without the library that checks it.
func sign(t testing.TB, algorithm string, claims map[string]any, signature func(text []byte) []byte) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := encode([]byte(`{"alg":"`+algorithm+`","typ":"JWT"}`)) + "." + encode(body)
	return text + "." + encode(signature([]byte(text)))
}

func withSecret(secret []byte) func([]byte) []byte {
	return func(text []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(text)
		return mac.Sum(nil)
	}
}

func claims(change map[string]any) map[string]any {
	c := map[string]any{"aud": "shop", "sub": "crm-1", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	maps.Copy(c, change)
	return c
}

func publicPEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func parse(t testing.TB, text []byte) Key {
	t.Helper()
	k, err := ParsePublic(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVerify(t *testing.T) {
	shared, err := Secret(secret)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, _ := ed25519.GenerateKey(nil)
	ecPrivate, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPEM := publicPEM(t, edPublic)
	edKey, ecKey := parse(t, edPEM), parse(t, publicPEM(t, &ecPrivate.PublicKey))
	byEd := func(text []byte) []byte { return ed25519.Sign(edPrivate, text) }
	byEC := func(text []byte) []byte {
		sum := sha256.Sum256(text)
		r, s, err := ecdsa.Sign(rand.Reader, ecPrivate, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	good := sign(t, "HS256", claims(nil), withSecret(secret))
	hs := func(change map[string]any) string { return sign(t, "HS256", claims(change), withSecret(secret)) }
	head, rest, _ := strings.Cut(good, ".")
	for _, tt := range []struct {
		name, token string
		keys        []Key
		code        string
	}{
		{"the secret's", good, []Key{shared}, ""},
		{"of the second of two secrets", good, []Key{{"HS256", bytes.Repeat([]byte{1}, 32)}, shared}, ""},
		{"Ed25519", sign(t, "EdDSA", claims(nil), byEd), []Key{edKey}, ""},
		{"P-256", sign(t, "ES256", claims(nil), byEC), []Key{edKey, ecKey}, ""},
		{"the site among others", hs(map[string]any{"aud": []string{"blog", "shop"}, "iss": "shop"}), []Key{shared}, ""},
		{"of a clock within the slack", hs(map[string]any{"iat": now.Add(59 * time.Second).Unix(), "exp": now.Add(-59 * time.Second).Unix()}), []Key{shared}, ""},

		{"no key", good, nil, edge.IdentifyNoKey},
		{"another key's algorithm", good, []Key{edKey, ecKey}, edge.IdentifyNoKey},
		{"a public key as a secret", sign(t, "HS256", claims(nil), withSecret(edPEM)), []Key{edKey}, edge.IdentifyNoKey},
		{"no signature", sign(t, "none", claims(nil), func([]byte) []byte { return nil }), []Key{shared}, edge.IdentifyNoKey},
		{"no signature in capitals", sign(t, "NONE", claims(nil), func([]byte) []byte { return nil }), []Key{shared}, edge.IdentifyMalformed},
		{"a longer hash", sign(t, "HS512", claims(nil), withSecret(secret)), []Key{shared}, edge.IdentifyNoKey},
		{"an unknown algorithm", sign(t, "XS1", claims(nil), withSecret(secret)), []Key{shared}, edge.IdentifyMalformed},
		{"forged", sign(t, "HS256", claims(nil), withSecret(bytes.Repeat([]byte{8}, 32))), []Key{shared}, edge.IdentifySignature},
		{"an empty signature", good[:strings.LastIndexByte(good, '.')+1], []Key{shared}, edge.IdentifySignature},
		{"other claims", head + "." + encode([]byte(`{"aud":"shop","sub":"crm-2"}`)) + rest[strings.IndexByte(rest, '.'):], []Key{shared}, edge.IdentifySignature},
		{"Ed25519 as ES256", sign(t, "ES256", claims(nil), byEd), []Key{edKey, ecKey}, edge.IdentifySignature},
		{"another site's", hs(map[string]any{"aud": "blog"}), []Key{shared}, edge.IdentifySite},
		{"no audience", hs(map[string]any{"aud": []string{}}), []Key{shared}, edge.IdentifySite},
		{"of another issuer", hs(map[string]any{"iss": "blog"}), []Key{shared}, edge.IdentifySite},
		{"expired", hs(map[string]any{"exp": now.Add(-Slack).Unix()}), []Key{shared}, edge.IdentifyExpired},
		{"of no end", hs(map[string]any{"exp": nil}), []Key{shared}, edge.IdentifyTime},
		{"of no beginning", hs(map[string]any{"iat": nil}), []Key{shared}, edge.IdentifyTime},
		{"too long", hs(map[string]any{"exp": now.Add(MaxAge + Slack + time.Second).Unix()}), []Key{shared}, edge.IdentifyTime},
		{"from the future", hs(map[string]any{"iat": now.Add(Slack + time.Second).Unix()}), []Key{shared}, edge.IdentifyTime},
		{"not yet", hs(map[string]any{"nbf": now.Add(Slack + time.Second).Unix()}), []Key{shared}, edge.IdentifyTime},
		{"of nobody", hs(map[string]any{"sub": ""}), []Key{shared}, edge.IdentifySubject},
		{"of too long a name", hs(map[string]any{"sub": strings.Repeat("x", edge.MaxProfileBytes+1)}), []Key{shared}, edge.IdentifySubject},
		{"a number as a name", hs(map[string]any{"sub": 7}), []Key{shared}, edge.IdentifyMalformed},
		{"too many bytes", hs(map[string]any{"pad": strings.Repeat("x", edge.MaxIdentityBytes)}), []Key{shared}, edge.IdentifyMalformed},
		{"empty", "", []Key{shared}, edge.IdentifyMalformed},
		{"no token", "a.b", []Key{shared}, edge.IdentifyMalformed},
		{"five parts", good + ".a.b", []Key{shared}, edge.IdentifyMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			customer, err := Verify(tt.token, "shop", tt.keys, now)
			refusal, code := (*Refusal)(nil), ""
			if errors.As(err, &refusal) {
				code = refusal.Code
			}
			if code != tt.code || (err == nil) != (customer == "crm-1") {
				t.Errorf("customer %q, %v, want code %q", customer, err, tt.code)
			}
		})
	}
}

func TestOnlySoundKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.PublicKey{"P-384": &p384.PublicKey, "RSA": &long.PublicKey} {
		if _, err := ParsePublic(publicPEM(t, key)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, text := range []string{"", "no PEM", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", strings.Repeat("x", 4096)} {
		if _, err := ParsePublic([]byte(text)); err == nil {
			t.Errorf("%.20q is taken", text)
		}
	}
	if _, err := Secret(secret[1:]); err == nil {
		t.Error("a short secret is taken")
	}
}

// FuzzVerify checks that no text but a signed one names anybody.
func FuzzVerify(f *testing.F) {
	shared, err := Secret(secret)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sign(f, "HS256", claims(nil), withSecret(secret)))
	f.Add(sign(f, "none", claims(nil), func([]byte) []byte { return nil }))
	f.Fuzz(func(t *testing.T, token string) {
		customer, err := Verify(token, "shop", []Key{shared}, now)
		if err != nil {
			if refusal := (*Refusal)(nil); !errors.As(err, &refusal) || customer != "" {
				t.Errorf("%q, %v", customer, err)
			}
			return
		}
		text, signature := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.')+1:]
		if encode(withSecret(secret)([]byte(text))) != signature {
			t.Errorf("%q is taken as %q", token, customer)
		}
	})
}
