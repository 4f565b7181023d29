// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// withdraw answers POST /v1/withdraw: the visitor takes consent back. What is
// kept in the browser goes unless storage is still granted. On another origin
// that is the tag's to do, for no cookie is used there. A receipt of it is all
// that is stored; where the log cannot take it the answer is 503, the cookie has
// gone all the same, and the tag says it again.
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
	left := consent.Purposes(w.purposes)
	if x.sameOrigin {
		x.cookies = findCookies(x.headers.cookie, w.site)
		if !left.Has(consent.Storage) {
			s.setCookie(x, w.site, "")
		}
	}
	told := edge.Withdrawal{Site: w.site, Left: left, GPC: saysGPC(x.headers.gpc), State: x.cookies.state(), Now: s.options.Now()}
	if err := s.engine.Withdraw(&told, &x.outcome); err != nil {
		return err
	}
	return s.store(x.outcome.Events, s.options.PublishPatience)
}
