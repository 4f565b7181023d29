// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"errors"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// Keys knows the keys of the sites' own servers. It is called by many goroutines
// at once and must be quick whether or not it knows a key: anybody may ask.
type Keys interface {
	// Key returns what a secret opens. ErrNoKey is for one that is unknown, ended
	// or for something else; another error means that it cannot be told now. The
	// secret is borrowed for the length of the call.
	Key(secret string) (Grant, error)
}

// ErrNoKey reports a secret that opens nothing here.
var ErrNoKey = errors.New("no such key")

// A Grant is what a key opens: its sites' events and decisions.
type Grant struct {
	// Every means every site, those to come included.
	Every bool
	// Sites must not be changed.
	Sites []string
}

func (g *Grant) opens(site string) bool { return g.Every || slices.Contains(g.Sites, site) }

// keyPrefix is what every key begins with; it is looked for where none may be.
const keyPrefix = "near_"

// The refusals of who asks as a server.
var (
	errBrowser     = &refusal{403, "browser_refused", "Origin", "a key must never be in a page or an app: call this address from a server"}
	errKeyInURL    = &refusal{400, "key_in_address", "Authorization", "an address is logged on its way: send the key as Authorization: Bearer near_…"}
	errNoKey       = &refusal{401, "unauthenticated", "Authorization", "send a server's key: Authorization: Bearer near_…"}
	errForeignSite = &refusal{403, "forbidden", "site", "this key does not count at that site"}
	errOverQuota   = &refusal{429, "over_quota", "site", "the site has had its quota of events: send these again later"}
	errKeysUnread  = &refusal{503, "not_ready", "", "the keys cannot be read now"}
)

// grantOf finds out what a server's request may do. It comes before its body is
// looked at, and says the same of a key that is unknown, ended, malformed or
// somebody's for the console.
func (s *Server) grantOf(header *fasthttp.RequestHeader) (Grant, error) {
	if len(header.Peek("Origin")) > 0 || len(header.Peek("Sec-Fetch-Site")) > 0 {
		return Grant{}, errBrowser
	}
	if _, query, _ := strings.Cut(view(header.RequestURI()), "?"); strings.Contains(query, keyPrefix) {
		return Grant{}, errKeyInURL
	}
	lines := header.PeekAll("Authorization")
	if len(lines) != 1 {
		return Grant{}, errNoKey
	}
	scheme, secret, _ := strings.Cut(view(lines[0]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Grant{}, errNoKey
	}
	grant, err := s.options.Keys.Key(trimSpace(secret))
	switch {
	case errors.Is(err, ErrNoKey):
		return Grant{}, errNoKey
	case err != nil:
		return Grant{}, errKeysUnread
	}
	return grant, nil
}

// serverGrant is grantOf for a request that is at its handler: who has no key is
// held to the pace of an address, so that trying keys out is slow as well as
// hopeless. Who has one speaks for many and is held to its sites' quotas alone.
func (s *Server) serverGrant(ctx *fasthttp.RequestCtx) (Grant, error) {
	grant, err := s.grantOf(&ctx.Request.Header)
	if errors.Is(err, errNoKey) {
		if peer := s.peerOf(ctx); !s.pace(&peer) {
			return Grant{}, errTooManyRequests
		}
	}
	return grant, err
}

// admitServer finds the release of the site that a server names. Of a site that
// its key does not open it learns nothing, not even whether there is one.
func (s *Server) admitServer(grant *Grant, site string) (*edge.Release, error) {
	if !grant.opens(site) {
		return nil, errForeignSite
	}
	release, ok := s.engine.Release(site)
	if !ok {
		return nil, errUnknownSite
	}
	return release, nil
}

// bodyLimits gives the body of a batch more room than others, once the key of
// who sends it is known: nobody else makes the process hold that much.
func (s *Server) bodyLimits(header *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	path, _, _ := strings.Cut(view(header.RequestURI()), "?")
	if r := s.route(path); r == nil || r.label != routeEvents {
		return c
	}
	if _, err := s.grantOf(header); err == nil {
		c.MaxRequestBodySize = edge.MaxBatchBytes
	}
	return c
}
