// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"errors"
	"fmt"

	"github.com/nearside/nearside/edge"
)

// The codes of an Error. A module that may not be uploaded is refused with its
// check's own code.
const (
	CodeUnauthenticated = "unauthenticated" // the token is unknown, revoked or expired
	CodeForbidden       = "forbidden"       // the actor's role or sites do not allow it
	CodeNotFound        = "not_found"       // there is no such site, module, proposal, token or release
	CodeConflict        = "conflict"        // somebody else changed the same thing meanwhile
	CodeTaken           = "taken"           // the name and version belong to other bytes at this site
	CodeInvalid         = "invalid"         // a value is malformed, or the release would not compile
	CodeTooLarge        = "too_large"       // a value is larger than its limit
	CodeQuota           = "quota"           // the site has as many of these as it may
	CodeShrinks         = "feed_shrinks"    // a full feed lacks more than half of the site's items
	CodeSamePerson      = "same_person"     // who asked for a change may not approve it
	CodeDecided         = "decided"         // the proposal was approved or rejected before
	CodeUnavailable     = "unavailable"     // the store cannot be read or written just now
)

// An Error says why a Desk did not do something. Its text is for the actor and
// holds nothing of a visitor.
type Error struct {
	// Code is stable; see the constants.
	Code string
	// Field is the wire name of what is at fault, for example "slot"; possibly
	// empty.
	Field string
	// Message says it in words, with what to do where there is something.
	Message string
	// Err is the cause, possibly nil.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(code, field, format string, args ...any) error {
	return &Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// because is refuse with a cause, whose text follows the step's.
func because(code, field, step string, err error) error {
	return &Error{Code: code, Field: field, Message: step + ": " + err.Error(), Err: err}
}

// codeOf returns an *Error's code, "" for any other error.
func codeOf(err error) string {
	if known, ok := errors.AsType[*Error](err); ok {
		return known.Code
	}
	return ""
}

// storeError turns a port's error into the caller's: what is not there is named
// by what, anything else is the store's trouble.
func storeError(err error, field, what string) error {
	switch {
	case err == nil:
		return nil
	case codeOf(err) != "":
		return err
	case errors.Is(err, edge.ErrNone):
		return &Error{Code: CodeNotFound, Field: field, Message: "there is no " + what, Err: err}
	case errors.Is(err, edge.ErrChanged):
		return &Error{Code: CodeConflict, Field: field, Message: what + " was changed by somebody else meanwhile: look at it and try again", Err: err}
	}
	return because(CodeUnavailable, "", what, err)
}
