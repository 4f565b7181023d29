// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/json"
	"slices"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// mine answers GET and POST /v1/mine: all that the visitor's state holds, and their
// profile, as JSON.
func (s *Server) mine(ctx *fasthttp.RequestCtx) error {
	return s.answerOwn(ctx, func(x *exchange, c *claim) (any, error) {
		if err := s.open(x, c); err != nil {
			return nil, err
		}
		download := isDownload(ctx)
		d, err := s.disclose(c, download)
		if err == nil && download {
			setHeader(&ctx.Response.Header, "Content-Disposition", attachment(c.site))
		}
		return d, err
	})
}

// forget answers POST /v1/forget: the visitor wants everything erased.
func (s *Server) forget(ctx *fasthttp.RequestCtx) error {
	return s.answerOwn(ctx, func(x *exchange, c *claim) (any, error) {
		receipt, err := s.erase(x, c)
		if err != nil {
			return nil, err
		}
		return forgotten{1, true, receipt}, nil
	})
}

// A forgotten is the answer to who was erased.
type forgotten struct {
	Version int    `json:"v"`
	Erased  bool   `json:"erased"`
	Receipt string `json:"receipt,omitempty"`
}

// answerOwn reads a request for one's own, lets act do what is asked, and answers
// with JSON.
func (s *Server) answerOwn(ctx *fasthttp.RequestCtx, act func(*exchange, *claim) (any, error)) error {
	x := new(exchange) // such requests are rare: nothing of them is kept for the next
	out, err := s.hearClaim(ctx, x, act)
	x.lead(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(out)
	if err != nil {
		return err // numbers, texts and checked JSON only: it does not happen
	}
	setHeader(&ctx.Response.Header, "Cache-Control", "no-store")
	setHeader(&ctx.Response.Header, "X-Content-Type-Options", "nosniff")
	ctx.Response.Header.SetContentType(contentTypeJSON)
	ctx.Response.SetBodyRaw(body)
	return nil
}

// hearClaim reads the request and sees whose it is.
func (s *Server) hearClaim(ctx *fasthttp.RequestCtx, x *exchange, act func(*exchange, *claim) (any, error)) (any, error) {
	x.hear(ctx)
	if err := x.knock(s); err != nil {
		return nil, err
	}
	var c claim
	if err := readQuery(ctx, &c); err != nil {
		return nil, err
	}
	if ctx.IsPost() {
		if err := checkContent(&x.headers); err != nil {
			return nil, err
		}
		if err := x.decoder.decodeClaim(x.body, &c); err != nil {
			return nil, err
		}
	} else if isOtherSite(&x.headers) {
		return nil, errOriginForeign
	}
	if err := s.recognise(x, &c, ctx.IsPost()); err != nil {
		return nil, err
	}
	return act(x, &c)
}

// isOtherSite reports whether a page of another origin fetches something or leads to
// it, as the browser says. Browsers that say nothing do not let that page read it.
func isOtherSite(h *headers) bool {
	return h.fetchSite != "" && h.fetchSite != "same-origin" && h.fetchSite != "none"
}

// isDownload reports whether the browser itself fetches a file for its user, and no
// script of a page: https://w3c.github.io/webappsec-fetch-metadata/.
func isDownload(ctx *fasthttp.RequestCtx) bool {
	return view(ctx.Request.Header.Peek("Sec-Fetch-Dest")) == "document"
}

func attachment(site string) string { return `attachment; filename="` + site + `-my-data.json"` }

// readQuery reads the site, and the language where there is one, from the address.
func readQuery(ctx *fasthttp.RequestCtx, c *claim) error {
	for key, value := range ctx.QueryArgs().All() {
		switch name := view(key); {
		case name == "site" && len(value) > edge.MaxSiteBytes:
			return &DecodeError{Field: "site", Code: faults[faultLong].code, Err: faults[faultLong].err}
		case name == "site":
			c.site = string(value)
		case name == "lang" && len(value) <= edge.MaxLangBytes:
			c.lang = string(value)
		case slices.Contains(idMembers, name):
			return errNamed(idMembers[slices.Index(idMembers, name)])
		}
	}
	return nil
}

// decodeClaim reads the body of a request for one's own:
//
//	{"v":1,"site":"shop","state":"…"}
//
// Its strings are views, as a beacon's.
func (d *Decoder) decodeClaim(body []byte, c *claim) error {
	d.reset(body)
	version := int64(0)
	s := &d.scan
	in, f := s.enter('{')
	for f == faultNone && in && s.member() {
		key := s.key
		switch string(key) {
		case "v":
			f = d.version(&version)
		case "site":
			f = d.name(&c.site, edge.MaxSiteBytes)
		case "state":
			f = s.text(&c.state, edge.MaxStateBytes)
		default:
			if at := slices.Index(idMembers, string(key)); at >= 0 {
				return errNamed(idMembers[at])
			}
			s.skip()
			continue
		}
		if f != faultNone {
			d.trail.under(string(key), f)
		}
	}
	if f == faultNone {
		f = d.complete(s.end(), version, c.site)
	}
	if f != faultNone {
		return d.trail.refuse(f)
	}
	return nil
}
