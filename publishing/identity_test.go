// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/nearside/nearside/publishing"
)

func TestTwoIdentityKeysCountAtOnce(t *testing.T) {
	b := newBench(t)
	op := publishing.Operator()
	checkCode(t, "an editor", second(b.CreateIdentityKey(t.Context(), actor("ed", publishing.Publisher), "shop", "")), "forbidden", "")
	changes := b.IdentityChanges()
	var secrets [][]byte
	for range publishing.MaxIdentityKeys {
		secret, key, err := b.CreateIdentityKey(t.Context(), op, "shop", "")
		raw, decodeErr := base64.RawURLEncoding.DecodeString(secret)
		if err != nil || decodeErr != nil || len(raw) != 32 || key.Algorithm != "HS256" {
			t.Fatalf("%q, %+v, %v, %v", secret, key, err, decodeErr)
		}
		secrets = append(secrets, raw)
	}
	checkCode(t, "a third", second(b.CreateIdentityKey(t.Context(), op, "shop", "")), "quota", "")
	checkCode(t, "another site's", second(b.CreateIdentityKey(t.Context(), op, "blog", "the public one")), "", "")
	checkCode(t, "no key", second(b.CreateIdentityKey(t.Context(), op, "blog", "no key")), "invalid", "public")
	if got := b.IdentityChanges() - changes; got < 3 {
		t.Errorf("%d changes are counted", got)
	}
	stored, err := b.StoredIdentityKeys(t.Context())
	if err != nil || len(stored["shop"]) != 2 || len(stored["blog"]) != 1 || stored["blog"][0].Algorithm != "EdDSA" {
		t.Fatalf("%+v, %v", stored, err)
	}
	for i, k := range stored["shop"] {
		if got, err := b.sealer.OpenSecret("shop", k.Sealed); err != nil || !bytes.Equal(got, secrets[i]) {
			t.Errorf("key %d opens as %x, %v", i, got, err)
		}
		if _, err := b.sealer.OpenSecret("blog", k.Sealed); err == nil {
			t.Error("another site opens the secret")
		}
	}
	// Who has the files must not have the secrets.
	files, sealed := 0, false
	err = filepath.WalkDir(b.options.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		files++
		sealed = sealed || bytes.Contains(raw, []byte(stored["shop"][0].Sealed))
		for _, secret := range secrets {
			if bytes.Contains(raw, secret) || bytes.Contains(raw, []byte(base64.RawURLEncoding.EncodeToString(secret))) {
				t.Errorf("a secret is in %s", path)
			}
		}
		return err
	})
	if err != nil || files == 0 || !sealed {
		t.Fatalf("%d files, sealed %v, %v: the test proves nothing", files, sealed, err)
	}
	keys, err := b.IdentityKeys(t.Context(), op, "shop")
	if err != nil || len(keys) != 2 {
		t.Fatalf("%+v, %v", keys, err)
	}
	checkCode(t, "revoke at another site", b.RevokeIdentityKey(t.Context(), op, "blog", keys[0].ID), "not_found", "id")
	checkCode(t, "revoke", b.RevokeIdentityKey(t.Context(), op, "shop", keys[0].ID), "", "")
	checkCode(t, "revoke again", b.RevokeIdentityKey(t.Context(), op, "shop", keys[0].ID), "not_found", "id")
	if left, err := b.IdentityKeys(t.Context(), op, "shop"); err != nil || len(left) != 1 || left[0].ID != keys[1].ID {
		t.Errorf("%+v, %v", left, err)
	}
	checkCode(t, "the next", second(b.CreateIdentityKey(t.Context(), op, "shop", "")), "", "")
}

// second returns the error of a key that was made.
func second(_ string, _ publishing.IdentityKey, err error) error { return err }
