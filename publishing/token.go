// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// tokenPrefix lets people and secret scanners see what a string is.
const tokenPrefix = "near_"

// tokenBytes are what nobody guesses.
const tokenBytes = 32

// maxSecretBytes bounds what is taken for a secret; ours have 48.
const maxSecretBytes = 128

// maxActorSites bounds the sites of one token, maxMakers how often a token may
// be made by one that was made by one.
const (
	maxActorSites = 64
	maxMakers     = 16
)

var (
	actorPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$`)
	tokenPattern = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// A Token is how an actor proves who it is. The secret itself is shown once and
// kept nowhere; the store has its SHA-256, which finds it and cannot be turned
// back: 256 random bits need no slow hash.
type Token struct {
	// ID names the token without giving it away: the first 16 digits of the
	// secret's hash.
	ID    string `json:"id"`
	Actor Actor  `json:"actor"`
	// By made it, At then; it counts until Expires, for ever if that is zero.
	By string `json:"by"`
	// Makers are By and whoever made By's token, and so on, but for the operator.
	Makers  []string  `json:"makers,omitempty"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires,omitzero"`
}

// CreateToken makes a token for an actor, until a time or, with the zero time,
// until it is revoked. The secret is returned this once. It needs the role
// admin at each of the token's sites.
func (d *Desk) CreateToken(ctx context.Context, by, actor Actor, expires time.Time) (secret string, token Token, err error) {
	if err := by.mayHandOut(actor); err != nil {
		return "", Token{}, err
	}
	now := d.now()
	if !expires.IsZero() && !expires.After(now) {
		return "", Token{}, refuse(CodeInvalid, "expires", "the token would have expired already")
	}
	if err := d.admitToken(ctx, actor); err != nil {
		return "", Token{}, err
	}
	var random [tokenBytes]byte
	rand.Read(random[:])
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	hash := hashOf([]byte(secret))
	token = Token{ID: hash[:16], Actor: actor, By: by.Name, Makers: by.line(), At: now, Expires: expires.UTC().Truncate(time.Second)}
	if expires.IsZero() {
		token.Expires = time.Time{}
	}
	err = d.withEntries(ctx, by, token.entries(ActToken), func() error {
		value, err := json.Marshal(token)
		if err == nil {
			_, err = d.o.Notes.PutNote(ctx, tokenKey(hash), value, 0)
		}
		return err
	})
	d.tokens.Add(1)
	if err != nil {
		return "", Token{}, storeError(err, "", "token")
	}
	return secret, token, nil
}

// mayHandOut refuses a token that is malformed or would reach further than who
// makes it.
func (a Actor) mayHandOut(actor Actor) error {
	switch {
	case !actorPattern.MatchString(actor.Name):
		return refuse(CodeInvalid, "name", "the name %.70q is not letters, digits and . _ @ + -, at most 64", actor.Name)
	case actor.Name == Operator().Name:
		return refuse(CodeInvalid, "name", "the name %q is the one of who runs the node", actor.Name)
	case actor.Role < Server || actor.Role > Admin:
		return refuse(CodeInvalid, "role", "the role is not one of %s", strings.Join(Roles(), ", "))
	case len(actor.Sites) == 0 || len(actor.Sites) > maxActorSites:
		return refuse(CodeInvalid, "sites", "%d sites, want 1 to %d, or %s for every one", len(actor.Sites), maxActorSites, AnySite)
	}
	if len(a.makers) >= maxMakers {
		return refuse(CodeForbidden, "", "%s has a token by way of %d others: somebody of them must make this one", a.Name, maxMakers)
	}
	for _, site := range actor.Sites {
		if site != AnySite && !edge.ValidSite(site) {
			return refuse(CodeInvalid, "sites", "%.70q is not a site's id", site)
		}
		if err := a.need(Admin, site); err != nil {
			return err
		}
	}
	return nil
}

// Tokens returns the tokens of the sites at which the actor is admin, newest
// first, the expired ones included.
func (d *Desk) Tokens(ctx context.Context, by Actor) ([]Token, error) {
	if err := by.needAnywhere(Admin); err != nil {
		return nil, err
	}
	tokens := []Token{}
	notes, err := d.o.Notes.Notes(ctx, tokenNotes)
	for _, n := range notes {
		var t Token
		err = errors.Join(err, read(n, &t))
		if by.overrules(t.Actor) {
			tokens = append(tokens, t)
		}
	}
	if err != nil {
		return nil, storeError(err, "", "tokens")
	}
	slices.SortFunc(tokens, func(a, b Token) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
	return tokens, nil
}

// overrules reports whether a is admin wherever other counts.
func (a Actor) overrules(other Actor) bool {
	return !slices.ContainsFunc(other.Sites, func(site string) bool { return !a.May(Admin, site) })
}

// RevokeToken ends a token at once. A token of a site at which the actor is not
// admin is as one that is not there.
func (d *Desk) RevokeToken(ctx context.Context, by Actor, id string) error {
	if err := by.needAnywhere(Admin); err != nil {
		return err
	}
	token, hash, revision, err := d.findToken(ctx, id)
	if err == nil && !by.overrules(token.Actor) {
		err = errNoTokenID(id)
	}
	if err != nil {
		return err
	}
	err = d.withEntries(ctx, by, token.entries(ActRevoke), func() error {
		return d.o.Notes.DeleteNote(ctx, tokenKey(hash), revision)
	})
	d.tokens.Add(1)
	return storeError(err, "id", "the token")
}

// Authenticate returns the token that a secret is, which is one look-up by
// hash: how long it takes says nothing about other secrets. The error says no
// more than that the secret is not good.
func (d *Desk) Authenticate(ctx context.Context, secret string) (Token, error) {
	if len(secret) > maxSecretBytes || !strings.HasPrefix(secret, tokenPrefix) {
		return Token{}, errNoToken()
	}
	value, _, err := d.o.Notes.Note(ctx, tokenKey(hashOf([]byte(secret))))
	switch {
	case errors.Is(err, edge.ErrNone):
		return Token{}, errNoToken()
	case err != nil:
		return Token{}, storeError(err, "", "token")
	}
	var token Token
	if err := json.Unmarshal(value, &token); err != nil {
		return Token{}, fmt.Errorf("token: %w", err)
	}
	if token.expired(d.now()) {
		return Token{}, errNoToken()
	}
	token.Actor.makers = token.Makers
	return token, nil
}

// A SecretHash is the SHA-256 of a token's secret, which stands for it.
type SecretHash [sha256.Size]byte

// HashSecret returns the hash of what may be a secret; false is for a text that
// cannot be one. Whether it is one, the hash must be looked up for.
func HashSecret(secret string) (SecretHash, bool) {
	if len(secret) > maxSecretBytes || !strings.HasPrefix(secret, tokenPrefix) {
		return SecretHash{}, false
	}
	var space [maxSecretBytes]byte
	return sha256.Sum256(append(space[:0], secret...)), true
}

// ServerTokens returns every token with the role Server, by its secret's hash,
// those that have expired left out. It is for a node that has to know them
// without asking for each request; no actor is told.
func (d *Desk) ServerTokens(ctx context.Context) (map[SecretHash]Token, error) {
	notes, err := d.o.Notes.Notes(ctx, tokenNotes)
	if err != nil {
		return nil, storeError(err, "", "tokens")
	}
	now, found := d.now(), make(map[SecretHash]Token)
	for _, n := range notes {
		var t Token
		if err := read(n, &t); err != nil {
			return nil, storeError(err, "", "tokens")
		}
		if t.Actor.Role != Server || t.expired(now) {
			continue
		}
		hash, err := hex.DecodeString(strings.TrimPrefix(n.Key, tokenKey("")))
		if err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("%s: not a secret's hash", n.Key)
		}
		found[SecretHash(hash)] = t
	}
	return found, nil
}

// TokenChanges counts how often a token was made or revoked at this desk, for who
// remembers ServerTokens. Other desks of the same store are not counted.
func (d *Desk) TokenChanges() uint64 { return d.tokens.Load() }

// TokenByID returns a token that still counts, for who has seen its secret
// before and remembers its ID only.
func (d *Desk) TokenByID(ctx context.Context, id string) (Token, error) {
	token, _, _, err := d.findToken(ctx, id)
	if codeOf(err) == CodeNotFound || err == nil && token.expired(d.now()) {
		return Token{}, errNoToken()
	}
	token.Actor.makers = token.Makers
	return token, err
}

// findToken returns the token with an ID, its secret's hash and its note's
// revision.
func (d *Desk) findToken(ctx context.Context, id string) (token Token, hash string, revision uint64, err error) {
	if !tokenPattern.MatchString(id) {
		return Token{}, "", 0, errNoTokenID(id)
	}
	notes, err := d.o.Notes.Notes(ctx, tokenNotes)
	for _, n := range notes {
		if found := strings.TrimPrefix(n.Key, tokenKey("")); strings.HasPrefix(found, id) {
			hash, revision = found, n.Revision
			err = errors.Join(err, read(n, &token))
		}
	}
	switch {
	case err != nil:
		return Token{}, "", 0, storeError(err, "", "tokens")
	case hash == "":
		return Token{}, "", 0, errNoTokenID(id)
	}
	return token, hash, revision, nil
}

func (t Token) expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

func errNoToken() error {
	return refuse(CodeUnauthenticated, "", "the token is unknown, revoked or expired")
}

func errNoTokenID(id string) error {
	return refuse(CodeNotFound, "id", "there is no token %.16q", id)
}

const tokenNotes = "token"

func tokenKey(hash string) string { return tokenNotes + "." + hash }

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// entries tell each of the token's sites that it was made or revoked; one of
// every site is told under none.
func (t Token) entries(act string) []Entry {
	entries := make([]Entry, len(t.Actor.Sites))
	for i, site := range t.Actor.Sites {
		entries[i] = Entry{Site: site, Act: act, Token: t.ID, Detail: t.Actor.Name + ", " + t.Actor.Role.String()}
		if site == AnySite {
			entries[i].Site = ""
		}
	}
	return entries
}
