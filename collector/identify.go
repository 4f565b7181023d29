// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"time"

	"github.com/nearside/nearside/edge"
)

// Identities knows the keys by which sites say who has signed in. It is called by
// many goroutines at once and must be quick: anybody may send a token.
type Identities interface {
	// Customer returns the site's own id of the customer whom a token names, or one of
	// edge's Identify codes for which it is refused. The token is borrowed for the
	// length of the call.
	Customer(site, token string, now time.Time) (customer, code string)
}

// identify finds out who has signed in or out, by the page's word. A server that names
// the customer itself needs no token.
func (x *exchange) identify(s *Server) {
	b, r := &x.beacon, &x.request
	r.SignOut = b.SignOut
	switch {
	case b.Identify == "" || r.Profile != "":
		return
	case s.options.Identities == nil:
		r.Unidentified = edge.IdentifyNoKey
		return
	}
	r.Profile, r.Unidentified = s.options.Identities.Customer(b.Site, b.Identify, r.Now)
	r.Identified = r.Unidentified == ""
}
