// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// Keys knows the keys of the sites' own servers. It is called by many goroutines
// at once and must be quick whether or not it knows a key: anybody may ask.
type Keys interface {
	// Key returns what a secret opens. ErrNoKey is for one that is unknown, ended
	// or for something else; another error means that it cannot be told now. The
	// secret is borrowed for the length of the call.
	Key(secret string) (Access, error)
}

// ErrNoKey reports a secret that opens nothing here.
var ErrNoKey = errors.New("no such key")

// An Access is what a key opens: its sites' events and decisions.
type Access struct {
	// Every means every site, those to come included.
	Every bool
	// Sites must not be changed.
	Sites []string
}

func (a *Access) opens(site string) bool { return a.Every || slices.Contains(a.Sites, site) }

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

// accessOf finds out what a server's request may do. It comes before its body is
// looked at, and says the same of a key that is unknown, ended, malformed or
// somebody's for the console.
func (s *Server) accessOf(header *fasthttp.RequestHeader) (Access, error) {
	if len(header.Peek("Origin")) > 0 || len(header.Peek("Sec-Fetch-Site")) > 0 {
		return Access{}, errBrowser
	}
	if _, query, _ := strings.Cut(view(header.RequestURI()), "?"); strings.Contains(query, keyPrefix) {
		return Access{}, errKeyInURL
	}
	lines := header.PeekAll("Authorization")
	if len(lines) != 1 {
		return Access{}, errNoKey
	}
	scheme, secret, _ := strings.Cut(view(lines[0]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Access{}, errNoKey
	}
	access, err := s.options.Keys.Key(trimSpace(secret))
	switch {
	case errors.Is(err, ErrNoKey):
		return Access{}, errNoKey
	case err != nil:
		return Access{}, errKeysUnread
	}
	return access, nil
}

// serverAccess is accessOf for a request that is at its handler: who has no key is
// held to the pace of an address, so that trying keys out is slow as well as
// hopeless. Who has one speaks for many and is held to its sites' quotas alone.
func (s *Server) serverAccess(ctx *fasthttp.RequestCtx) (Access, error) {
	access, err := s.accessOf(&ctx.Request.Header)
	if errors.Is(err, errNoKey) {
		if from := senderOf(ctx); !s.mayAsk(&from) {
			return Access{}, errTooManyRequests
		}
	}
	return access, err
}

// hearServer reads a server's headers and says what its key opens. It comes before
// the body is decoded.
func (s *Server) hearServer(ctx *fasthttp.RequestCtx, h *headers) (Access, error) {
	access, err := s.serverAccess(ctx)
	if err != nil {
		return Access{}, err
	}
	h.read(&ctx.Request.Header)
	return access, checkContent(h)
}

// admitServer finds the release of the site that a server names. Of a site that
// its key does not open it learns nothing, not even whether there is one. What is
// malformed in the body is told to who may know of the site, or named none.
func (s *Server) admitServer(access *Access, site string, malformed error) (*edge.Release, error) {
	release, known := s.engine.Release(site)
	switch {
	case site == "" && malformed != nil:
		return nil, malformed
	case !access.opens(site):
		return nil, errForeignSite
	case !known:
		return nil, errUnknownSite
	}
	return release, malformed
}

// bodyLimits gives the body of a batch more room than others, once the key of
// who sends it is known, and while there is a place: nobody else makes the process
// hold that much.
func (s *Server) bodyLimits(header *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	if s.mayBeLarge(header) && s.large.take(header, time.Now().Add(s.options.ReadTimeout)) {
		c.MaxRequestBodySize = edge.MaxBatchBytes
	}
	return c
}
