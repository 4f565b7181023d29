// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"time"

	"github.com/nearside/nearside/publishing"
)

// tokens answers GET /v1/tokens.
func (c *Console) tokens(q *call) error {
	all, err := q.desk().Tokens(q.ctx(), q.actor)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, all)
}

// A madeToken is a token with the secret that nobody will be told again.
type madeToken struct {
	Secret string           `json:"secret"`
	Token  publishing.Token `json:"token"`
}

// createToken answers POST /v1/tokens.
func (c *Console) createToken(q *call) error {
	var ask struct {
		publishing.Actor
		Expires time.Time `json:"expires"`
	}
	if err := q.decode(&ask); err != nil {
		return err
	}
	secret, token, err := q.desk().CreateToken(q.ctx(), q.actor, ask.Actor, ask.Expires)
	if err != nil {
		return err
	}
	return q.json(http.StatusCreated, madeToken{secret, token})
}

// revokeToken answers DELETE /v1/tokens/{id}.
func (c *Console) revokeToken(q *call) error {
	if err := q.desk().RevokeToken(q.ctx(), q.actor, q.r.PathValue("id")); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
