// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// People keeps the profiles of known people, by the site's own id of each.
type People interface {
	// Profile returns what is held of a customer of a site; the error is an
	// edge.ErrNone where nothing is.
	Profile(ctx context.Context, site, customer string) (*edge.ProfileReport, error)
	// EraseProfile deletes it; the error is an edge.ErrNone where nothing is.
	EraseProfile(ctx context.Context, site, customer string) error
}

// customer returns the customer that a query names.
func (q *call) customer() (string, error) {
	customer := q.r.URL.Query().Get("profile")
	if customer == "" || len(customer) > edge.MaxProfileBytes {
		return "", badRequest("profile", "name a customer by the site's own id, of 1 to %d bytes", edge.MaxProfileBytes)
	}
	return customer, nil
}

// profile answers GET /v1/sites/{site}/profile.
func (c *Console) profile(q *call) error {
	if c.options.People == nil {
		return errNotFound
	}
	customer, err := q.customer()
	if err != nil {
		return err
	}
	p, err := c.options.People.Profile(q.ctx(), q.site, customer)
	if errors.Is(err, edge.ErrNone) {
		return errNoProfile
	}
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, p)
}

// errNoProfile answers for a customer of whom nothing is held.
var errNoProfile = &refusal{404, publishing.CodeNotFound, "profile", "nothing is held of such a customer"}

// identityKeys answers GET /v1/sites/{site}/identity-keys.
func (c *Console) identityKeys(q *call) error {
	keys, err := q.desk().IdentityKeys(q.ctx(), q.actor, q.site)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, keys)
}

// A madeIdentityKey is a key with the secret that nobody will be told again.
type madeIdentityKey struct {
	Secret string                 `json:"secret,omitempty"`
	Key    publishing.IdentityKey `json:"key"`
}

// createIdentityKey answers POST /v1/sites/{site}/identity-keys.
func (c *Console) createIdentityKey(q *call) error {
	var ask struct {
		Public string `json:"public"`
	}
	if err := q.decode(&ask); err != nil {
		return err
	}
	secret, key, err := q.desk().CreateIdentityKey(q.ctx(), q.actor, q.site, ask.Public)
	if err != nil {
		return err
	}
	return q.json(http.StatusCreated, madeIdentityKey{secret, key})
}

// revokeIdentityKey answers DELETE /v1/sites/{site}/identity-keys/{id}.
func (c *Console) revokeIdentityKey(q *call) error {
	if err := q.desk().RevokeIdentityKey(q.ctx(), q.actor, q.site, q.r.PathValue("id")); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
