// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A member is a key of a sink's description.
type member struct {
	name     string
	required bool
	set      func(r *reader, s *Spec, v *value)
}

var namePattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// maxNameBytes bounds a sink's name, which is a label and a word of keys.
const maxNameBytes = 32

// commonMembers are those of every kind, but for kind itself.
var commonMembers = []member{
	{"name", true, func(r *reader, s *Spec, v *value) {
		if s.Name = r.text(v); len(s.Name) > maxNameBytes || !namePattern.MatchString(s.Name) {
			r.bad(v, "%.40q is not words of a-z and 0-9 joined by dashes, at most %d characters", s.Name, maxNameBytes)
		}
	}},
	{"needs", false, func(r *reader, s *Spec, v *value) {
		needs, err := consent.ParsePurposes(r.texts(v)...)
		if err != nil {
			r.bad(v, "%v", err)
		}
		s.Needs = needs | consent.Measure // without it there is no event
	}},
	{"sites", false, func(r *reader, s *Spec, v *value) {
		s.Sites = r.texts(v)
		if len(s.Sites) == 0 {
			r.bad(v, "it is empty; leave it out for all sites")
		}
		for _, site := range s.Sites {
			if !edge.ValidSite(site) {
				r.bad(v, "%.70q is not a site's id", site)
			}
		}
	}},
	{"from", false, func(r *reader, s *Spec, v *value) {
		switch r.text(v) {
		case "start":
			s.FromStart = true
		case "now":
		default:
			r.bad(v, "want start or now")
		}
	}},
}

// fileMembers are those of sinks that write files.
var fileMembers = []member{
	{"dir", true, func(r *reader, s *Spec, v *value) {
		if s.Dir = filepath.Clean(r.text(v)); !filepath.IsAbs(s.Dir) || s.Dir == string(filepath.Separator) {
			r.bad(v, "want a directory's whole path")
		}
	}},
	{"rotateBytes", false, func(r *reader, s *Spec, v *value) { s.RotateBytes = r.number(v, 64<<10, 4<<30) }},
	{"rotateAfter", false, func(r *reader, s *Spec, v *value) { s.RotateAfter = r.span(v, time.Second, 24*time.Hour) }},
}

var gzipMember = member{"gzip", false, func(r *reader, s *Spec, v *value) { s.Gzip = r.yes(v) }}

// hookMembers are those of webhooks.
var hookMembers = []member{
	{"url", true, func(r *reader, s *Spec, v *value) {
		u, err := url.Parse(r.text(v))
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			r.bad(v, "want an address like https://host/path, without user and fragment")
			return
		}
		s.URL = u
	}},
	{"secretEnv", false, func(r *reader, s *Spec, v *value) {
		name := r.text(v)
		if text, ok := r.getenv(name); ok {
			r.secret(s, v, text)
		} else {
			r.bad(v, "the environment has no %.64s", name)
		}
	}},
	{"secretFile", false, func(r *reader, s *Spec, v *value) {
		if content, err := readBounded(r.text(v), maxSecretBytes); err == nil {
			r.secret(s, v, string(content))
		} else {
			r.bad(v, "%v", err)
		}
	}},
	{"caFile", false, func(r *reader, s *Spec, v *value) {
		s.CAFile = r.text(v)
		if _, err := readPool(s.CAFile); err != nil {
			r.bad(v, "%v", err)
		}
	}},
	{"allow", false, func(r *reader, s *Spec, v *value) {
		for _, text := range r.texts(v) {
			if p, err := netip.ParsePrefix(text); err == nil {
				s.Allow = append(s.Allow, p.Masked())
			} else {
				r.bad(v, "%.64q is not a prefix like 10.1.0.0/16", text)
			}
		}
	}},
	{"timeout", false, func(r *reader, s *Spec, v *value) { s.Timeout = r.span(v, 100*time.Millisecond, time.Minute) }},
	{"concurrency", false, func(r *reader, s *Spec, v *value) { s.Concurrency = int(r.number(v, 1, 32)) }},
	{"maxEvents", false, func(r *reader, s *Spec, v *value) { s.MaxEvents = int(r.number(v, 1, 1000)) }},
	{"maxBytes", false, func(r *reader, s *Spec, v *value) { s.MaxBytes = int(r.number(v, 1<<10, 8<<20)) }},
}

const (
	// secretPrefix begins a secret as the Standard Webhooks specification writes
	// it; minSecret and maxSecret are its bounds in bytes.
	secretPrefix         = "whsec_"
	minSecret, maxSecret = 24, 64
	maxSecretBytes       = 4 << 10 // of a file of one
)

// secret reads a webhook's secret; no error shows it.
func (r *reader) secret(s *Spec, v *value, text string) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(text), secretPrefix))
	switch {
	case s.Secret != nil:
		r.bad(v, "secretEnv and secretFile both give a secret, want one")
	case err != nil || len(raw) < minSecret || len(raw) > maxSecret:
		r.bad(v, "the secret is not %s and %d to %d bytes in base64", secretPrefix, minSecret, maxSecret)
	default:
		s.Secret = raw
	}
}

// readBounded reads a file of at most limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, limit)
	}
	return os.ReadFile(name)
}
