// SPDX-License-Identifier: Apache-2.0

// Package identity checks the tokens by which a site says who has signed in: compact
// JSON Web Tokens (RFC 7519) that the site's own server makes and the page hands to
// the tag.
//
// A key is for one algorithm, and the key says which: what a token says of its own
// algorithm is only compared. A token is for one site, of somebody, and good for
// minutes. It is bounded before it is parsed.
//
// The package keeps nothing, does no I/O and trusts no clock but the one it is given.
// A Key is immutable; all functions are safe for concurrent use.
package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/nearside/nearside/edge"
)

// Limits of a token.
const (
	// MaxAge is how far ahead of now a token may end: who finds one in a log or a page
	// must come too late.
	MaxAge = 10 * time.Minute
	// Slack is how far two clocks may be apart.
	Slack = time.Minute

	// SecretBytes is the length of a shared secret, that of the hash (RFC 7518, 3.2).
	SecretBytes = 32
	// maxPublicBytes bounds a public key as PEM; those of the two kinds have about 180.
	maxPublicBytes = 1 << 10
)

// A Key checks tokens of one algorithm. Make it with Secret or ParsePublic.
type Key struct {
	algorithm string
	key       any
}

// Algorithm returns the JWS name of the key's algorithm: HS256, EdDSA or ES256.
func (k Key) Algorithm() string { return k.algorithm }

// Secret returns the key of a shared secret of SecretBytes bytes or more, which is
// copied.
func Secret(secret []byte) (Key, error) {
	if len(secret) < SecretBytes {
		return Key{}, fmt.Errorf("a secret of %d bytes, at least %d are needed", len(secret), SecretBytes)
	}
	return Key{"HS256", append([]byte(nil), secret...)}, nil
}

// ParsePublic reads a public key as PEM (PKIX): Ed25519, for EdDSA, or P-256, for ES256.
func ParsePublic(text []byte) (Key, error) {
	if len(text) > maxPublicBytes {
		return Key{}, fmt.Errorf("a public key of %d bytes, at most %d", len(text), maxPublicBytes)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return Key{}, errors.New("not a public key in PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("public key: %w", err)
	}
	switch key := key.(type) {
	case ed25519.PublicKey:
		return Key{"EdDSA", key}, nil
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return Key{"ES256", key}, nil
		}
	}
	return Key{}, errors.New("the public key is neither Ed25519 nor P-256")
}

// A Refusal is why a token was refused.
type Refusal struct{ Code string }

func (r *Refusal) Error() string { return "identity token refused: " + r.Code }

func refuse(code string) (string, error) { return "", &Refusal{code} }

// Verify returns the customer whom a token names, who is signed in at a site at a time,
// if one of the site's keys made it. The error is a *Refusal.
func Verify(token, site string, keys []Key, now time.Time) (customer string, err error) {
	if len(token) > edge.MaxIdentityBytes {
		return refuse(edge.IdentifyMalformed)
	}
	claims := &jwt.RegisteredClaims{}
	_, err = parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		var set jwt.VerificationKeySet
		for _, k := range keys {
			if k.algorithm == t.Method.Alg() {
				set.Keys = append(set.Keys, k.key)
			}
		}
		if len(set.Keys) == 0 {
			return nil, errNoKey
		}
		return set, nil
	})
	switch {
	case errors.Is(err, errNoKey):
		return refuse(edge.IdentifyNoKey)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return refuse(edge.IdentifySignature)
	case err != nil:
		return refuse(edge.IdentifyMalformed)
	}
	return judge(claims, site, now)
}

// parser reads tokens. What the claims say is for judge, which has codes.
var parser = jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())

var errNoKey = errors.New("no key of that algorithm")

// judge says what the claims of a token are worth that a key of the site made.
func judge(c *jwt.RegisteredClaims, site string, now time.Time) (string, error) {
	isFor := false
	for _, audience := range c.Audience {
		isFor = isFor || audience == site
	}
	switch {
	case !isFor, c.Issuer != "" && c.Issuer != site:
		return refuse(edge.IdentifySite)
	case c.ExpiresAt == nil, c.IssuedAt == nil:
		return refuse(edge.IdentifyTime)
	case !now.Before(c.ExpiresAt.Add(Slack)):
		return refuse(edge.IdentifyExpired)
	case c.ExpiresAt.After(now.Add(MaxAge + Slack)), c.IssuedAt.After(now.Add(Slack)), c.NotBefore != nil && c.NotBefore.After(now.Add(Slack)):
		return refuse(edge.IdentifyTime)
	case c.Subject == "", len(c.Subject) > edge.MaxProfileBytes, !utf8.ValidString(c.Subject):
		return refuse(edge.IdentifySubject)
	}
	return c.Subject, nil
}
