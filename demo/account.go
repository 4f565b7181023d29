// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// customers are the shop's sample accounts, by the letters that tell them apart.
// Nobody is behind them and they have no passwords: whoever looks at the shop may
// be any of them.
var customers = [...]string{"A", "B"}

const (
	// accountCookie says which customer is signed in in this browser, or nobody any
	// more. It is there from the first sign-in on and ends with the browser's session.
	accountCookie = "brae-customer"
	// signedOut is its value after a sign-out: every page says it until the session
	// ends, for the page that says it first may be left before it is heard.
	signedOut = "nobody"

	// tokenTime is how long a token is good, the most that a node takes (package
	// identity, MaxAge): a visitor may read a page before they answer for consent.
	tokenTime = 10 * time.Minute
	// secretBytes is the least length of the secret, that of the hash (RFC 7518, 3.2).
	secretBytes = 32
)

// account returns the value of a request's accountCookie: a customer, signedOut, or
// "" where nobody has signed in and for what the shop never set.
func account(ctx *fasthttp.RequestCtx) string {
	value := string(ctx.Request.Header.Cookie(accountCookie))
	if value == signedOut || slices.Contains(customers[:], value) {
		return value
	}
	return ""
}

// signIn signs a customer in, or whoever is there out, and leads back to the page. A
// page of another origin can do neither.
func (d *Demo) signIn(ctx *fasthttp.RequestCtx) {
	origin, err := url.Parse(string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin)))
	if err != nil || origin.Host == "" || origin.Host != string(ctx.Host()) {
		ctx.Error("only the shop's own pages sign in", fasthttp.StatusForbidden)
		return
	}
	customer := string(ctx.PostArgs().Peek("customer"))
	if customer != signedOut && !slices.Contains(customers[:], customer) {
		ctx.Error("there is no such customer", fasthttp.StatusBadRequest)
		return
	}
	var cookie fasthttp.Cookie
	cookie.SetKey(accountCookie)
	cookie.SetValue(customer)
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	cookie.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	cookie.SetSecure(origin.Scheme == "https")
	ctx.Response.Header.SetCookie(&cookie)
	if customer == signedOut { // the basket goes with whose it was
		where := ctx.URI()
		where.QueryArgs().Del("cart")
		where.SetQueryStringBytes(where.QueryArgs().QueryString())
	}
	redirect(ctx, string(ctx.Path()))
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
}

// tokenHeader is the first part of every token.
var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// token returns the token by which the shop says that a customer is signed in: a
// compact JWT, made as docs/SERVER.md tells a site's server to.
func (d *Demo) token(customer string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{"aud": Site, "sub": "customer-" + customer, "iat": now.Unix(), "exp": now.Add(tokenTime).Unix()})
	if err != nil {
		return "", err
	}
	text := tokenHeader + "." + base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, d.secret)
	mac.Write([]byte(text)) // a hash takes everything
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// Customers are the letters of the shop's sample accounts.
func (p *page) Customers() []string { return customers[:] }

// SignedOut is what a form says that signs out.
func (p *page) SignedOut() string { return signedOut }

// Customer is the letter of who is signed in, "" for nobody.
func (p *page) Customer() string {
	if p.account == signedOut {
		return ""
	}
	return p.account
}

// Identifies reports whether the page says who is signed in, or that nobody is any
// more.
func (p *page) Identifies() bool { return p.account != "" }

// Identity is what the page hands to the tag: a fresh token of who is signed in, nil
// for nobody. The browser's sealed state remembers: the node reads a token that says
// what it knows, and changes nothing.
func (p *page) Identity() (any, error) {
	if p.Customer() == "" {
		return nil, nil
	}
	return p.demo.token(p.Customer(), time.Now())
}
