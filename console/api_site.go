// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
)

// status answers GET /v1/sites/{site}/status.
func (c *Console) status(q *call) error {
	status, err := q.desk().Status(q.ctx(), q.actor, q.site)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, status)
}

// history answers GET /v1/sites/{site}/history.
func (c *Console) history(q *call) error {
	all, err := q.desk().History(q.ctx(), q.actor, q.site)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, all)
}

// What a list answers when nobody says how much of it they want.
const (
	countDays    = 30
	auditEntries = 100
)

// counts answers GET /v1/sites/{site}/counts.
func (c *Console) counts(q *call) error {
	days, err := q.number("days", countDays)
	if err != nil {
		return err
	}
	counts, err := q.desk().Counts(q.ctx(), q.actor, q.site, int(days))
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, counts)
}

// audit answers GET /v1/audit and GET /v1/sites/{site}/audit.
func (c *Console) audit(q *call) error {
	limit, err := q.number("limit", auditEntries)
	if err != nil {
		return err
	}
	log, err := q.desk().Audit(q.ctx(), q.actor, q.site, int(limit))
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, log)
}
