// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// Keys are the sealing keys of the house. Rotate and Retire refuse what may not be,
// else call note with what they are about to do, which calls do if it is noted.
type Keys interface {
	Keys(ctx context.Context) ([]edge.KeyStatus, error)
	// Rotate makes a key that seals from notice on.
	Rotate(ctx context.Context, notice time.Duration, note func(detail string, do func() error) error) (edge.KeyStatus, error)
	// Retire ends a key, with early also one whose states still count, and says what
	// it was.
	Retire(ctx context.Context, number int, early bool, note func(detail string, do func() error) error) (edge.KeyStatus, error)
}

// noteKey returns what notes an act on the keys.
func (q *call) noteKey(act string) func(string, func() error) error {
	return func(detail string, do func() error) error {
		return q.desk().Noted(q.ctx(), q.actor, publishing.Admin, publishing.Entry{Act: act, Detail: detail}, do)
	}
}

// keys answers GET /v1/keys.
func (c *Console) keys(q *call) error {
	if c.options.Keys == nil {
		return errNotFound
	}
	all, err := c.options.Keys.Keys(q.ctx())
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, all)
}

// rotateKey answers POST /v1/keys.
func (c *Console) rotateKey(q *call) error {
	if c.options.Keys == nil {
		return errNotFound
	}
	seconds, err := q.number("seconds", uint64(edge.KeyNotice/time.Second))
	if err != nil {
		return err
	}
	notice := time.Duration(seconds) * time.Second
	if notice > edge.MaxKeyNotice {
		return badRequest("seconds", "a key seals after 0 to %d seconds", edge.MaxKeyNotice/time.Second)
	}
	made, err := c.options.Keys.Rotate(q.ctx(), notice, q.noteKey(publishing.ActRotateKey))
	if err != nil {
		return err
	}
	return q.json(http.StatusCreated, made)
}

// retireKey answers DELETE /v1/keys/{key}.
func (c *Console) retireKey(q *call) error {
	if c.options.Keys == nil {
		return errNotFound
	}
	number, err := strconv.ParseUint(q.r.PathValue("key"), 10, 8)
	if err != nil {
		return badRequest("key", "a key's number is 0 to 255")
	}
	early := false
	if text := q.r.URL.Query().Get("now"); text != "" {
		if early, err = strconv.ParseBool(text); err != nil {
			return badRequest("now", "now is true or false")
		}
	}
	was, err := c.options.Keys.Retire(q.ctx(), int(number), early, q.noteKey(publishing.ActRetireKey))
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, was)
}
