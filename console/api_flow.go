// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// A Flow is where events flow on to.
type Flow interface {
	Sinks(ctx context.Context) ([]edge.SinkStatus, error)
	// DropSink forgets how far a sink is that nobody runs.
	DropSink(ctx context.Context, name string) error
}

// A Dead keeps the events that a sink could not take.
type Dead interface {
	// Dead calls fn with the letters of a site and a sink, of all with "", oldest
	// first.
	Dead(ctx context.Context, site, sink string, fn func(edge.DeadLetter) error) error
	DeadLetter(ctx context.Context, site, id string) (edge.DeadLetter, error)
	// ReplayDead gives a letter to its sink again; DropDead deletes it.
	ReplayDead(ctx context.Context, site, id string) error
	DropDead(ctx context.Context, site, id string) error
}

// What a list of dead letters answers when nobody says how many, and at most.
const (
	deadLetters    = 100
	maxDeadLetters = 1000
)

// sinks answers GET /v1/sinks.
func (c *Console) sinks(q *call) error {
	if c.options.Flow == nil {
		return errNotFound
	}
	all, err := c.options.Flow.Sinks(q.ctx())
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, all)
}

// dropSink answers DELETE /v1/sinks/{name}.
func (c *Console) dropSink(q *call) error {
	if c.options.Flow == nil {
		return errNotFound
	}
	name := q.r.PathValue("name")
	err := q.desk().Noted(q.ctx(), q.actor, publishing.Admin, publishing.Entry{Act: publishing.ActDropSink, Site: "", Detail: short(name)}, func() error {
		return c.options.Flow.DropSink(q.ctx(), name)
	})
	if err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// maxDetailBytes bounds what an entry of the audit log repeats of a request.
const maxDetailBytes = 64

func short(text string) string { return text[:min(len(text), maxDetailBytes)] }

// errEnough ends a list.
var errEnough = errors.New("enough")

// dead answers GET /v1/dead, without what the events hold.
func (c *Console) dead(q *call) error {
	if c.options.Dead == nil {
		return errNotFound
	}
	limit, err := q.number("limit", deadLetters)
	if err != nil {
		return err
	}
	query := q.r.URL.Query()
	all := []edge.DeadLetter{}
	err = c.options.Dead.Dead(q.ctx(), query.Get("site"), query.Get("sink"), func(d edge.DeadLetter) error {
		d.Body = nil
		if all = append(all, d); uint64(len(all)) >= min(limit, maxDeadLetters) {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return q.json(http.StatusOK, all)
}

// deadLetter answers GET /v1/sites/{site}/dead/{id}. An event that is no JSON is
// shown as text.
func (c *Console) deadLetter(q *call) error {
	if c.options.Dead == nil {
		return errNotFound
	}
	d, err := c.options.Dead.DeadLetter(q.ctx(), q.site, q.r.PathValue("id"))
	if err != nil {
		return err
	}
	if len(d.Body) > 0 && !json.Valid(d.Body) {
		if d.Body, err = json.Marshal(string(d.Body)); err != nil {
			return err
		}
	}
	return q.json(http.StatusOK, d)
}

// replayDead answers POST /v1/sites/{site}/dead/{id}/replay.
func (c *Console) replayDead(q *call) error {
	return c.changeDead(q, publishing.Publisher, publishing.ActReplayDead, Dead.ReplayDead)
}

// dropDead answers DELETE /v1/sites/{site}/dead/{id}.
func (c *Console) dropDead(q *call) error {
	return c.changeDead(q, publishing.Admin, publishing.ActDropDead, Dead.DropDead)
}

func (c *Console) changeDead(q *call, role publishing.Role, act string, do func(d Dead, ctx context.Context, site, id string) error) error {
	if c.options.Dead == nil {
		return errNotFound
	}
	id := q.r.PathValue("id")
	d, err := c.options.Dead.DeadLetter(q.ctx(), q.site, id) // what is not there is not noted
	if err != nil {
		return err
	}
	q.arrived()
	err = q.desk().Noted(q.ctx(), q.actor, role, publishing.Entry{Act: act, Site: q.site, Detail: d.ID}, func() error {
		return do(c.options.Dead, q.ctx(), q.site, id)
	})
	if err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
