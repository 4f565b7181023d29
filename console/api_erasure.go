// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// An Eraser erases persons from all that the node holds.
type Eraser interface {
	edge.Eraser
	// LinkedTo returns the browsers that are a customer's alone, of those that events
	// tell, by the id that the customer has in events, and of those that are known
	// besides; and how many are others' too.
	LinkedTo(ctx context.Context, site, profile string, known []edge.PersonKey) (browsers []edge.PersonKey, shared int, err error)
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

// A customer is a known person: by the site's own id, and by the one in events.
type customer struct{ name, profile string }

// traces reads a request's person, and what its events may hold of them. who is empty
// for no customer.
func (c *Console) traces(q *call) (t edge.Traces, who customer, err error) {
	var ask erasureRequest
	if err := q.decode(&ask); err != nil {
		return t, who, err
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
		return t, who, badRequest("person", "give the person's key, the visitor's id or the customer's, one of them")
	case len(ask.Profile) > edge.MaxProfileBytes || len(ask.Visitor) > edge.MaxProfileBytes:
		return t, who, badRequest("profile", "an id has at most %d bytes", edge.MaxProfileBytes)
	case ask.Profile != "" && c.options.ProfileID == nil:
		return t, who, errNotFound
	case ask.Profile != "":
		who = customer{ask.Profile, c.options.ProfileID(q.site, ask.Profile)}
		t.Key, t.Texts = edge.PersonKeyOf(q.site, who.profile), []string{who.profile}
	case ask.Visitor != "":
		t.Key, t.Texts = edge.PersonKeyOf(q.site, ask.Visitor), []string{ask.Visitor}
	}
	return t, who, nil
}

// erase answers POST /v1/sites/{site}/erasures.
func (c *Console) erase(q *call) error {
	if c.options.Eraser == nil {
		return errNotFound
	}
	t, who, err := c.traces(q)
	if err != nil {
		return err
	}
	q.patient()
	var done erasureAnswer
	// Who is erased is not noted.
	err = q.desk().Noted(q.ctx(), q.actor, publishing.Admin, publishing.Entry{Act: publishing.ActForget, Site: q.site}, func() (err error) {
		if who.profile != "" {
			if done.Linked, done.Shared, err = c.linkedTo(q, who); err != nil {
				return err
			}
		}
		for _, browser := range done.Linked {
			if _, err := c.options.Eraser.Erase(q.ctx(), edge.Person{Site: q.site, Key: browser}); err != nil {
				return err
			}
		}
		if done.Erasure, err = c.options.Eraser.Erase(q.ctx(), t.Person); err != nil || who.profile == "" || c.options.People == nil {
			return err
		}
		// The profile goes last: it says which browsers are the person's.
		if err = c.options.People.EraseProfile(q.ctx(), q.site, who.name); errors.Is(err, edge.ErrNone) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return q.json(http.StatusAccepted, done)
}

// linkedTo returns the browsers of a customer, by what events and the profile tell, and
// how many are others' too.
func (c *Console) linkedTo(q *call, who customer) (browsers []edge.PersonKey, shared int, err error) {
	var known []edge.PersonKey
	if c.options.People != nil {
		switch profile, err := c.options.People.Profile(q.ctx(), q.site, who.name); {
		case err == nil:
			for _, id := range profile.Linked {
				known = append(known, edge.PersonKeyOf(q.site, id))
			}
		case !errors.Is(err, edge.ErrNone):
			return nil, 0, err
		}
	}
	return c.options.Eraser.LinkedTo(q.ctx(), q.site, who.profile, known)
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
