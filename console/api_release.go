// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"net/http"
)

// health answers GET /healthz.
func (c *Console) health(q *call) error {
	return q.bytes(http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
}

// metrics answers GET /metrics.
func (c *Console) metrics(q *call) error {
	q.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	for _, write := range c.options.Metrics {
		if err := write(q.w); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	return nil
}

// sites answers GET /v1/sites.
func (c *Console) sites(q *call) error {
	sites, err := q.desk().Sites(q.ctx(), q.actor)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, append([]string{}, sites...))
}

// A liveRelease is a site with its live release.
type liveRelease struct {
	Site   string `json:"site"`
	Number uint64 `json:"number"`
	Hash   string `json:"hash"`
}

// releases answers GET /v1/releases.
func (c *Console) releases(q *call) error {
	sites, err := q.desk().Sites(q.ctx(), q.actor)
	if err != nil {
		return err
	}
	list := []liveRelease{}
	for _, site := range sites {
		r, _, err := q.desk().Release(q.ctx(), q.actor, site, 0)
		if err != nil {
			return err
		}
		list = append(list, liveRelease{site, r.Number, r.Hash})
	}
	return q.json(http.StatusOK, list)
}

// release answers GET /v1/releases/{site}.
func (c *Console) release(q *call) error {
	number, err := q.number("number", 0)
	if err != nil {
		return err
	}
	r, document, err := q.desk().Release(q.ctx(), q.actor, q.site, number)
	if err != nil {
		return err
	}
	q.entityTag(r.Number)
	return q.bytes(http.StatusOK, contentTypeJSON, document)
}

// putRelease answers PUT /v1/releases/{site}. It is compare-and-swap: If-Match
// names the number that the document follows.
func (c *Console) putRelease(q *call) error {
	follows, given, err := q.follows()
	if err != nil {
		return err
	}
	if !given {
		return errNoNumber
	}
	document, err := q.body()
	if err != nil {
		return err
	}
	out, err := q.desk().Put(q.ctx(), q.actor, q.site, document, follows)
	if err != nil {
		return err
	}
	return q.outcome(out)
}
