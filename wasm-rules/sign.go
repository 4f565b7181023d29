// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"crypto/rand"
	"errors"
	"fmt"

	"aead.dev/minisign"

	"github.com/nearside/nearside/edge"
)

// Sign signs a module for a site with a secret key as minisign keeps it, and
// returns what Keys.Verify reads. password opens a key that is encrypted, which
// takes a second and a gigabyte, as minisign means it.
func Sign(secretKey []byte, password, site string, ref edge.ModuleRef) (signature []byte, err error) {
	key, err := openSecretKey(secretKey, password)
	if err != nil {
		return nil, fmt.Errorf("secret key: %w", err)
	}
	text := SignedText(site, ref)
	about := fmt.Sprintf("%s at site %s", ref.ID(), site)
	return minisign.SignWithComments(key, text, about, "nearside module "+about), nil
}

// errPassword reports a key that only a password opens.
var errPassword = errors.New("it is encrypted, and no password is given")

func openSecretKey(text []byte, password string) (key minisign.PrivateKey, err error) {
	switch {
	case !minisign.IsEncrypted(text):
		return key, key.UnmarshalText(text)
	case password == "":
		return key, errPassword
	}
	return minisign.DecryptKey(password, text)
}

// NewKey makes a pair of keys as minisign keeps them. The secret one is encrypted
// with the password unless that is empty.
func NewKey(password string) (secret, public []byte, err error) {
	pub, key, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if public, err = pub.MarshalText(); err != nil {
		return nil, nil, err
	}
	if password == "" {
		secret, err = key.MarshalText()
	} else {
		secret, err = minisign.EncryptKey(password, key)
	}
	return secret, public, err
}
