// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge/consent"
)

// withdraw answers POST /v1/withdraw: the visitor takes consent back. What is
// kept in the browser goes unless storage is still granted. On another origin
// that is the tag's to do, for no cookie is used there. Nothing is recorded.
func (s *Server) withdraw(ctx *fasthttp.RequestCtx) error {
	x := s.exchanges.Get().(*exchange)
	x.hear(ctx)
	err := s.answerWithdrawal(x)
	x.reply(ctx, err)
	x.free()
	s.exchanges.Put(x)
	return err
}

func (s *Server) answerWithdrawal(x *exchange) error {
	if err := x.begin(s); err != nil {
		return err
	}
	w := &x.withdrawal
	malformed := x.decoder.decodeWithdrawal(x.body, w)
	_, err := s.admit(x, w.site)
	if malformed != nil {
		return malformed // an allowed page may read why
	}
	if err != nil {
		return err
	}
	if x.sameOrigin && !consent.Purposes(w.purposes).Has(consent.Storage) {
		x.cookies = findCookies(x.headers.cookie, w.site)
		s.setCookie(x, w.site, "")
	}
	return nil
}
