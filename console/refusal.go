// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/nearside/nearside/publishing"
)

const contentTypeJSON = "application/json"

// retryAfter is what a client that is refused for a while is told to wait, in
// seconds.
const retryAfter = "1"

// A refusal is a request that is not served: its status, its stable code, the
// wire name of what is at fault, possibly empty, and plain words.
type refusal struct {
	status  int
	Code    string `json:"code"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// Error implements error.
func (r *refusal) Error() string { return r.Message }

// The refusals that are not the desk's.
var (
	errNotFound      = &refusal{404, publishing.CodeNotFound, "", "there is nothing at this address"}
	errMethod        = &refusal{405, "method_not_allowed", "", "this address does not answer that method"}
	errNoNumber      = &refusal{428, "precondition_required", "If-Match", "say which release number this follows, 0 for the first"}
	errNoCredentials = &refusal{401, publishing.CodeUnauthenticated, "Authorization", "send a token: Authorization: Bearer near_…"}
	errQuery         = &refusal{400, "bad_query", "", "a parameter cannot be read"}
	errEnding        = &refusal{503, "not_ready", "", "the server is about to stop"}
	errInternal      = &refusal{500, "internal", "", "the server failed"}
)

func badRequest(field, format string, args ...any) error {
	return &refusal{400, "bad_request", field, fmt.Sprintf(format, args...)}
}

func errRole(role publishing.Role, site string) error {
	switch site {
	case "":
		return &refusal{403, publishing.CodeForbidden, "", "this needs the role " + role.String()}
	case publishing.AnySite:
		return &refusal{403, publishing.CodeForbidden, "site", "this needs the role " + role.String() + " at every site"}
	}
	return &refusal{403, publishing.CodeForbidden, "site", fmt.Sprintf("this needs the role %s at site %.64q", role, site)}
}

// statuses are those of the desk's codes. A module that may not be uploaded has
// its check's own code, which is one more way to be invalid.
var statuses = map[string]int{
	publishing.CodeUnauthenticated: http.StatusUnauthorized,
	publishing.CodeForbidden:       http.StatusForbidden,
	publishing.CodeSamePerson:      http.StatusForbidden,
	publishing.CodeNotFound:        http.StatusNotFound,
	publishing.CodeConflict:        http.StatusConflict,
	publishing.CodeTaken:           http.StatusConflict,
	publishing.CodeDecided:         http.StatusConflict,
	publishing.CodeQuota:           http.StatusConflict,
	publishing.CodeShrinks:         http.StatusConflict,
	publishing.CodeTooLarge:        http.StatusRequestEntityTooLarge,
	publishing.CodeInvalid:         http.StatusUnprocessableEntity,
	publishing.CodeUnavailable:     http.StatusServiceUnavailable,
}

// refusalOf says how an error is answered. It is the one place where errors
// become statuses; an error that it does not know is ours.
func refusalOf(err error) *refusal {
	if known, ok := errors.AsType[*refusal](err); ok {
		return known
	}
	if desk, ok := errors.AsType[*publishing.Error](err); ok {
		status, ok := statuses[desk.Code]
		if !ok {
			status = http.StatusUnprocessableEntity
		}
		return &refusal{status, desk.Code, desk.Field, desk.Message}
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &refusal{413, publishing.CodeTooLarge, "", fmt.Sprintf("the body is larger than %d bytes", large.Limit)}
	}
	return errInternal
}

// refuse answers with an error and logs one that is not the client's.
func (q *call) refuse(err error) {
	r := refusalOf(err)
	if r.status >= 500 && r != errEnding {
		q.console.options.Logger.Error("admin request", "path", q.r.URL.Path, "error", err)
	}
	if q.w.begun {
		return
	}
	if r.status == http.StatusConflict && r.Code == publishing.CodeConflict && q.r.Header.Get("If-Match") != "" {
		r = &refusal{http.StatusPreconditionFailed, r.Code, "If-Match", r.Message}
	}
	if isPage(q.r.URL.Path) {
		pageErr := q.refusePage(r)
		if pageErr == nil {
			return
		}
		q.console.options.Logger.Error("admin request", "path", q.r.URL.Path, "error", pageErr)
		r = errInternal
	}
	r.write(q.w)
}

func (r *refusal) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", contentTypeJSON)
	header.Set("Cache-Control", "no-store")
	switch r.status {
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.appendJSON(nil))
}

func (r *refusal) appendJSON(b []byte) []byte {
	out, err := json.Marshal(map[string]*refusal{"error": r})
	if err != nil {
		panic(err) // three strings always marshal
	}
	return append(b, out...)
}
