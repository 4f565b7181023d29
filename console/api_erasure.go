// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"net/http"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// An Eraser erases persons from all that the node holds.
type Eraser interface {
	edge.Eraser
	// LinkedTo returns the browsers that events tell to be a customer's alone, by
	// the id that the customer has in events, and how many are others' too.
	LinkedTo(ctx context.Context, site, profile string) (browsers []edge.PersonKey, shared int, err error)
	// Erasure says how far an erasure is.
	Erasure(ctx context.Context, p edge.Person) (edge.Erasure, error)
	// Erasures are all that are known, of every site, without their places.
	Erasures(ctx context.Context) ([]edge.Erasure, error)
	// Prove is Erasure with what a search of every place finds. It also searches for
	// somebody whom nobody asked to erase.
	Prove(ctx context.Context, t edge.Traces) (edge.Erasure, error)
}

// An erasureRequest names a person in one of three ways.
type erasureRequest struct {
	Person  edge.PersonKey `json:"person"`
	Visitor string         `json:"visitor"`
	Profile string         `json:"profile"`
}

// An erasureAnswer is the receipt of a request.
type erasureAnswer struct {
	edge.Erasure
	// Linked are the browsers that are the customer's alone: each has an erasure of
	// its own, asked for with this one. Shared browsers were left alone.
	Linked []edge.PersonKey `json:"linked,omitempty"`
	Shared int              `json:"shared,omitempty"`
}

// traces reads a request's person, and what its events may hold of them. profile
// is the id that the customer has in events, "" for no customer.
func (c *Console) traces(q *call) (t edge.Traces, profile string, err error) {
	var ask erasureRequest
	if err := q.decode(&ask); err != nil {
		return t, "", err
	}
	ways := 0
	for _, given := range []bool{ask.Person != (edge.PersonKey{}), ask.Visitor != "", ask.Profile != ""} {
		if given {
			ways++
		}
	}
	t.Person = edge.Person{Site: q.site, Key: ask.Person}
	switch {
	case ways != 1:
		return t, "", badRequest("person", "give the person's key, the visitor's id or the customer's, one of them")
	case len(ask.Profile) > edge.MaxProfileBytes || len(ask.Visitor) > edge.MaxProfileBytes:
		return t, "", badRequest("profile", "an id has at most %d bytes", edge.MaxProfileBytes)
	case ask.Profile != "" && c.options.ProfileID == nil:
		return t, "", errNotFound
	case ask.Profile != "":
		profile = c.options.ProfileID(q.site, ask.Profile)
		t.Key, t.Texts = edge.PersonKeyOf(q.site, profile), []string{profile}
	case ask.Visitor != "":
		t.Key, t.Texts = edge.PersonKeyOf(q.site, ask.Visitor), []string{ask.Visitor}
	}
	return t, profile, nil
}

// erase answers POST /v1/sites/{site}/erasures.
func (c *Console) erase(q *call) error {
	if c.options.Eraser == nil {
		return errNotFound
	}
	t, profile, err := c.traces(q)
	if err != nil {
		return err
	}
	q.patient()
	var done erasureAnswer
	// Who is erased is not noted.
	err = q.desk().Noted(q.ctx(), q.actor, publishing.Admin, publishing.Entry{Act: publishing.ActForget, Site: q.site}, func() (err error) {
		if profile != "" {
			if done.Linked, done.Shared, err = c.options.Eraser.LinkedTo(q.ctx(), q.site, profile); err != nil {
				return err
			}
		}
		for _, browser := range done.Linked {
			if _, err := c.options.Eraser.Erase(q.ctx(), edge.Person{Site: q.site, Key: browser}); err != nil {
				return err
			}
		}
		done.Erasure, err = c.options.Eraser.Erase(q.ctx(), t.Person)
		return err
	})
	if err != nil {
		return err
	}
	return q.json(http.StatusAccepted, done)
}

// erasure answers GET /v1/sites/{site}/erasures/{person}.
func (c *Console) erasure(q *call) error {
	if c.options.Eraser == nil {
		return errNotFound
	}
	key, err := edge.ParsePersonKey(q.r.PathValue("person"))
	if err != nil {
		return badRequest("person", "%v", err)
	}
	now, err := c.options.Eraser.Erasure(q.ctx(), edge.Person{Site: q.site, Key: key})
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, now)
}

// erasures answers GET /v1/erasures.
func (c *Console) erasures(q *call) error {
	if c.options.Eraser == nil {
		return errNotFound
	}
	all, err := c.options.Eraser.Erasures(q.ctx())
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, all)
}

// findPerson answers POST /v1/sites/{site}/erasures/find.
func (c *Console) findPerson(q *call) error {
	if c.options.Eraser == nil {
		return errNotFound
	}
	t, _, err := c.traces(q)
	if err != nil {
		return err
	}
	q.patient()
	now, err := c.options.Eraser.Prove(q.ctx(), t)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, now)
}

// patient lets an answer take its time: all of the log is read for it.
func (q *call) patient() {
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Time{}) // a writer without one is not a connection
}
