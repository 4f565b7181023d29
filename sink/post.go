// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// maxAnswerBytes is what is read of an answer, so that its connection can be used
// again. Nothing in it counts.
const maxAnswerBytes = 64 << 10

// An answer is what a receiver said to a message.
type answer struct {
	status int // 0 without an answer
	err    error
	after  time.Duration // what it asks us to wait
}

func (a answer) taken() bool { return a.status/100 == 2 }

func (a answer) refused() bool {
	return slices.Contains([]int{
		http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
	}, a.status)
}

// failed reports that the receiver failed at what was sent, for its sake or not. One
// that has too much to do, or says when to come again, did not.
func (a answer) failed() bool {
	busy := a.after > 0 || a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable
	return a.status != 0 && !busy && !a.taken() && !a.refused() && a.status != http.StatusGone
}

// problem says what is wrong, without the receiver's words.
func (a answer) problem() error {
	switch {
	case a.status == 0:
		return a.err
	case a.status/100 == 3:
		return fmt.Errorf("the receiver answers %d; redirects are not followed", a.status)
	}
	return fmt.Errorf("the receiver answers %d", a.status)
}

// post sends a message once.
func (h *hook) post(ctx context.Context, m *message) answer {
	ctx, cancel := context.WithTimeout(ctx, h.spec.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.spec.URL.String(), bytes.NewReader(m.body))
	if err != nil {
		return answer{err: ownWords(err)}
	}
	at := strconv.FormatInt(h.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "nearside")
	req.Header.Set("Webhook-Id", m.id)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", sign(h.spec.Secret, m.id, at, m.body))
	res, err := h.client.Do(req)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v", h.spec.Timeout)
		}
		return answer{err: ownWords(err)}
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswerBytes)) // the status is the answer
	return answer{status: res.StatusCode, after: retryAfter(res.Header.Get("Retry-After"), h.now())}
}

// errNoHTTP stands for what package http says of an answer that it cannot read: it
// quotes it, and a receiver may have sent back what it was sent.
var errNoHTTP = errors.New("the receiver answers no HTTP, or breaks off")

// ownWords returns an error of a request without the address, which may hold a
// secret, and without the receiver's words.
func ownWords(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return err // it was not reached, or is too slow
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) {
		return err
	}
	return errNoHTTP
}

// sign returns a message's signature, as Standard Webhooks has it.
func sign(secret []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// retryAfter reads the header: seconds, or a date (RFC 9110, section 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// newClient makes a client that follows no redirect, uses no proxy, and calls no
// address that is not public unless the spec allows it.
func newClient(s *Spec) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pool, err := readPool(s.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	dialer := &net.Dialer{Timeout: s.Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		return mayCall(address, s.Allow)
	}}
	return &http.Client{
		Timeout:       s.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: config, ForceAttemptHTTP2: true,
			MaxConnsPerHost: s.Concurrency, MaxIdleConnsPerHost: s.Concurrency, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: s.Timeout, ResponseHeaderTimeout: s.Timeout, MaxResponseHeaderBytes: maxAnswerBytes,
		},
	}, nil
}

// maxCABytes bounds a file of certificates.
const maxCABytes = 1 << 20

func readPool(file string) (*x509.CertPool, error) {
	content, err := readBounded(file, maxCABytes)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// reserved are the ranges, beside those that package netip knows by name, that
// are not public, or reach such by translation (IANA's special-purpose registries).
var reserved = func() (all []netip.Prefix) {
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

// mayCall refuses an address, as it was resolved, that is not public.
func mayCall(address string, allow []netip.Prefix) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap().WithZone("")
	within := func(p netip.Prefix) bool { return p.Contains(ip) }
	private := !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || slices.ContainsFunc(reserved, within)
	if private && !slices.ContainsFunc(allow, within) {
		return fmt.Errorf("the address %v is not public; allow lists those that may be called all the same", ip)
	}
	return nil
}
