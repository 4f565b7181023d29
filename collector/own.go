// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// What a visitor may ask for of their own: to see it, to have it, to be forgotten.
// Whose it is follows from the sealed state that the browser carries and from nothing
// else: who names an id is refused.

// An Eraser lets everything forget a visitor. It is safe for concurrent use.
type Eraser interface {
	// Erase returns once it is on disk that the visitor whose state it is, and whom they
	// are known to be, are to be erased; the visitor may be told that it was heard. To ask
	// again is safe. The error names nobody, and nothing of the state is kept.
	Erase(site string, state *edge.State) error
	// Erased reports whether what a person began at a time is erased: a state of before
	// is refused then.
	Erased(p edge.Person, at time.Time) bool
}

// Profiles knows what a site holds of its known customers. It is safe for concurrent
// use.
type Profiles interface {
	// Mine returns what is held of the customer whose state it is, as JSON, nil for
	// nothing. It reads the state and keeps nothing of it.
	Mine(site string, state *edge.State) (json.RawMessage, error)
}

// The refusals of who asks for their own.
var (
	errNoState     = &refusal{400, "no_state", "state", "there is no state here: this browser carries nothing"}
	errBadState    = &refusal{403, "bad_state", "state", "this state was not sealed for this site, or was changed"}
	errErased      = &refusal{410, "erased", "state", "this state is of before its visitor was erased"}
	errNoEraser    = &refusal{501, "not_available", "", "this server cannot erase by itself: ask the site"}
	errEraseLater  = &refusal{503, "unavailable", "", "nothing was erased: ask again"}
	errProfileHole = &refusal{503, "unavailable", "profile", "what is held of the customer cannot be read now: ask again"}
)

// idMembers are the words by which somebody might name a visitor.
var idMembers = []string{"id", "visitor", "person", "profile", "customer", "user"}

// errNamed refuses a request that names a visitor by an id.
func errNamed(member string) *refusal {
	return &refusal{400, codeNamed, member, "an id does not say whose request it is: send the sealed state"}
}

const codeNamed = "id_not_accepted"

// A claim is a request for one's own, and what was found out about it.
type claim struct {
	site  string // a view of the body; what outlives the request takes the release's
	state string // sealed, as the body brought it; "" where a cookie does
	lang  string
	do    string

	release *edge.Release
	held    *edge.State // nil until it was opened
}

// sealed is the sealed state, wherever it came from.
func (c *claim) sealed(x *exchange) string {
	if c.state != "" {
		return c.state
	}
	return x.cookies.state()
}

// recognise finds the site, and whether this request may use the site's cookie. A
// POST may from the same origin only; where the body brings the sealed state, whoever
// sends it has it already. A GET changes nothing, and what it answers no other origin
// can read.
func (s *Server) recognise(x *exchange, c *claim, isPost bool) error {
	release, ok := s.engine.Release(c.site)
	if !ok {
		return errUnknownSite
	}
	c.release = release
	origin := x.headers.origin
	x.sameOrigin = isSameOrigin(&x.headers, x.peer.secure) || isOwnForm(&x.headers) || !isPost && origin == ""
	x.foreign = !x.sameOrigin && origin != "" && release.AllowsOrigin(origin)
	if x.sameOrigin {
		x.cookies = findCookies(x.headers.cookie, c.site)
		return nil
	}
	switch {
	case isPost && c.state != "":
		return nil
	case origin == "":
		return errOriginMissing
	case origin == "null":
		return errOriginNull
	}
	return errOriginForeign
}

// isOwnForm reports whether a form of a page of this origin sends. That page tells no
// one where a request comes from, not even its own origin, so Origin is null, and the
// browser's word in Sec-Fetch-Site is what counts: no page can write that header, and
// for a page without an origin it is cross-site.
func isOwnForm(h *headers) bool { return h.origin == "null" && h.fetchSite == "same-origin" }

// open opens the state, and refuses one of before its visitor was erased.
func (s *Server) open(x *exchange, c *claim) error {
	sealed := c.sealed(x)
	if sealed == "" {
		return errNoState
	}
	state, err := s.engine.OpenState(c.site, sealed)
	if err != nil {
		return errBadState // why is nobody's business
	}
	who := edge.Person{Site: c.release.Site(), Key: edge.PersonKeyOf(c.site, state.VisitorID())}
	if s.options.Eraser != nil && s.options.Eraser.Erased(who, state.First) {
		return errErased
	}
	c.held = state
	return nil
}

// disclose tells all that is held, with the whole ids if only the visitor gets to read
// them.
func (s *Server) disclose(c *claim, withIDs bool) (*edge.Disclosure, error) {
	d := c.release.Disclose(c.held, s.options.Now())
	if s.options.Profiles != nil {
		profile, err := s.options.Profiles.Mine(c.release.Site(), c.held)
		if err == nil && len(profile) > 0 && !json.Valid(profile) {
			err = errors.New("the profile is not JSON")
		}
		if err != nil {
			s.options.Logger.Warn("a customer's profile could not be read for an export", "site", c.release.Site(), "error", err)
			return nil, errProfileHole
		}
		d.Profile = profile
	}
	if !withIDs {
		d.HideIDs()
	}
	return d, nil
}

// withdrawAll takes everything back that the visitor granted, and returns the receipt's
// id. The cookie goes first: where the log cannot take the receipt it has gone all the
// same.
func (s *Server) withdrawAll(x *exchange, c *claim) (receipt string, err error) {
	s.dropCookie(x, c.site)
	return s.storeWithdrawal(x, c.site, c.sealed(x))
}

// erase lets everything forget the visitor, and returns the id of the receipt, "" where
// the log cannot take it. As long as it is not certain that they are forgotten, the
// browser keeps its state, without which nobody could ask again. The receipt is
// nobody's: who was erased is in no event any more, and the visitor has its id.
func (s *Server) erase(x *exchange, c *claim) (receipt string, err error) {
	if s.options.Eraser == nil {
		return "", errNoEraser
	}
	if err := s.open(x, c); err != nil {
		return "", err
	}
	if err := s.options.Eraser.Erase(c.release.Site(), c.held); err != nil {
		s.options.Logger.Warn("a visitor asked to be erased, and was not", "site", c.release.Site(), "error", err)
		return "", errEraseLater
	}
	s.dropCookie(x, c.site)
	if receipt, err = s.storeWithdrawal(x, c.site, ""); err != nil {
		receipt = ""
	}
	return receipt, nil
}

// dropCookie expires the site's cookies in a browser on the same origin.
func (s *Server) dropCookie(x *exchange, site string) {
	if x.sameOrigin {
		s.setCookie(x, site, "")
	}
}

// storeWithdrawal stores the receipt of a withdrawal of everything, of whose state it
// is; nobody's without one.
func (s *Server) storeWithdrawal(x *exchange, site, sealed string) (receipt string, err error) {
	told := edge.Withdrawal{Site: site, State: sealed, Now: s.options.Now()}
	if err := s.engine.Withdraw(&told, &x.outcome); err != nil {
		return "", err
	}
	receipt = strings.Clone(x.outcome.Events[0].ID())
	return receipt, s.store(x.outcome.Events, s.options.PublishPatience)
}
