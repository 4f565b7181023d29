// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"net/http"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// explain answers POST /v1/sites/{site}/explain.
func (c *Console) explain(q *call) error {
	var ask struct {
		Granted consent.Set                `json:"granted"`
		Fields  map[string]json.RawMessage `json:"fields"`
		Slots   []string                   `json:"slots"`
	}
	if err := q.decode(&ask); err != nil {
		return err
	}
	visit := &edge.SampleVisit{Granted: ask.Granted, Fields: ask.Fields}
	explanation, err := q.desk().Explain(q.ctx(), q.actor, q.site, visit, ask.Slots)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, explanation)
}
