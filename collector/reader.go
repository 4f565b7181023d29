// SPDX-License-Identifier: Apache-2.0

package collector

import "github.com/nearside/nearside/edge"

// An Agent is what a request's headers say of the program that sent it. An
// empty member is a header that was not sent.
type Agent struct {
	UserAgent string
	// Brands is Sec-CH-UA. Mobile, Platform, FormFactors, Model and PlatformVersion are the Client
	// Hints of those names, as they stand in their headers, quotes and all.
	Brands, Mobile, Platform, FormFactors, Model, PlatformVersion string
}

// A Reader reads of headers and addresses what the collector reads of those of
// every request. It is for whoever measures how well that is done. It is safe
// for concurrent use.
type Reader struct {
	devices   *devices
	referrers *referrers
}

// NewReader returns a Reader.
func NewReader() *Reader { return &Reader{newDevices(), newReferrers()} }

// Device says which device an agent runs on, and whether it is a crawler.
// Screen and TimeZone are not read of headers.
func (r *Reader) Device(a *Agent) (device edge.Device, bot bool) {
	h := headers{
		userAgent: a.UserAgent, brands: a.Brands, mobile: a.Mobile, platform: a.Platform, formFactors: a.FormFactors,
		model: a.Model, platformVersion: a.PlatformVersion,
	}
	device, bot, _ = r.devices.read(&h, nil)
	return device, bot
}

// Referrer says of a referring page's address its host and class, for a page of
// the host pageHost.
func (r *Reader) Referrer(ref, pageHost string) edge.Ref { return r.referrers.classify(ref, pageHost) }

// Language returns which of a site's languages suits a reader best, "" for none:
// prefers in order of preference, then what the Accept-Language header accepts.
// It remembers nothing.
func (r *Reader) Language(site, prefers []string, accept string) string {
	if i := newSiteLanguages(site).match(&question{prefers: prefers, accept: accept}); i >= 0 {
		return site[i]
	}
	return ""
}
