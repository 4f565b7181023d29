// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/publishing"
)

// A call is one request on its way through a route.
type call struct {
	console *Console
	w       *answer
	r       *http.Request
	actor   publishing.Actor
	token   string // the actor's token by its ID, "" for the operator
	site    string // that the path names, "" for none
}

// An identity finds out who makes a request. It fills in the call's actor or
// returns an error of the desk's.
type identity func(*call) error

// operator takes everybody for who runs the node.
func (c *Console) operator(q *call) error {
	q.actor = publishing.Operator()
	return nil
}

// visitor believes a token, by its secret, or a session that was begun with one.
func (c *Console) visitor(q *call) error {
	credentials := q.r.Header.Get("Authorization")
	if credentials == "" {
		return c.bySession(q)
	}
	scheme, secret, _ := strings.Cut(credentials, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return errNoCredentials
	}
	token, err := c.options.Desk.Authenticate(q.ctx(), secret)
	q.actor, q.token = token.Actor, token.ID
	return err
}

// admit refuses whom the route's row does not allow.
func (q *call) admit(r *route, identify identity) error {
	if r.role == none {
		return nil
	}
	if err := identify(q); err != nil {
		return err
	}
	if q.actor.Role < publishing.Viewer {
		q.actor = publishing.Actor{} // a server's key says nothing here
		return errRole(r.role, "")
	}
	site := q.site
	switch r.scope {
	case anywhere:
		if q.actor.Role < r.role {
			return errRole(r.role, "")
		}
		return nil
	case atQuery:
		if site = q.r.URL.Query().Get("site"); site == "" {
			site = publishing.AnySite
		}
	case everywhere:
		site = publishing.AnySite
	}
	if !q.actor.May(r.role, site) {
		return errRole(r.role, site)
	}
	return nil
}

func (q *call) ctx() context.Context { return q.r.Context() }

func (q *call) desk() *publishing.Desk { return q.console.options.Desk }

// body returns the request's body, which is not empty.
func (q *call) body() ([]byte, error) {
	body, err := io.ReadAll(q.r.Body)
	if err != nil {
		return nil, unread(err)
	}
	q.arrived()
	if len(body) == 0 {
		return nil, badRequest("", "the body is empty")
	}
	return body, nil
}

// arrived ends the time that the request had to arrive: it would end the work on
// it too.
func (q *call) arrived() {
	_ = http.NewResponseController(q.w).SetReadDeadline(time.Time{}) // without one there is none to end
}

// decode reads a JSON body. A member that nobody knows is refused: a misspelt
// rollout would show a module to everybody.
func (q *call) decode(to any) error {
	decoder := json.NewDecoder(q.r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(to)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			q.arrived()
			return nil
		}
		return badRequest("", "the body is not one JSON text")
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badRequest(wrong.Field, "%s has the wrong type", wrong.Field)
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return err
	}
	return badRequest("", "the body cannot be read: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// unread says why a body did not arrive whole.
func unread(err error) error {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return err
	}
	return badRequest("", "the body did not arrive whole")
}

// number returns a parameter of the query, or what stands for one that is not
// there.
func (q *call) number(name string, absent uint64) (uint64, error) {
	text := q.r.URL.Query().Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, badRequest(name, "%s is not a number", name)
	}
	return n, nil
}

// follows returns the release that a conditional request was made from.
func (q *call) follows() (number uint64, given bool, err error) {
	match := strings.Trim(q.r.Header.Get("If-Match"), `"`)
	if match == "" {
		return 0, false, nil
	}
	number, err = strconv.ParseUint(match, 10, 64)
	if err != nil {
		return 0, false, errNoNumber
	}
	return number, true, nil
}

// json answers with a value.
func (q *call) json(status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return q.bytes(status, contentTypeJSON, append(body, '\n'))
}

// bytes answers with a body. That nobody reads it is nobody's fault.
func (q *call) bytes(status int, contentType string, body []byte) error {
	q.w.Header().Set("Content-Type", contentType)
	q.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	q.w.WriteHeader(status)
	_, _ = q.w.Write(body)
	return nil
}

func (q *call) entityTag(number uint64) {
	q.w.Header().Set("ETag", `"`+strconv.FormatUint(number, 10)+`"`)
}

// recovered answers for a handler that panicked. What it panicked with may hold
// what the client sent and is named by its type only, unless it is the
// runtime's.
func (q *call) recovered(p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	cause := fmt.Sprintf("%T", p)
	if known, ok := p.(runtime.Error); ok {
		cause = known.Error()
	}
	q.console.options.Logger.Error("handler panicked", "cause", cause, "stack", string(debug.Stack()))
	if !q.w.begun {
		errInternal.write(q.w)
	}
}

// An answer remembers whether it has begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
