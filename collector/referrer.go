// SPDX-License-Identifier: Apache-2.0

package collector

import (
	_ "embed"
	"strings"

	"github.com/nearside/nearside/edge"
)

//go:generate go run ./internal/gendata -dir .

// referrerTable says the class of well-known hosts. ATTRIBUTION.md says where
// it comes from.
//
//go:embed referrers.txt
var referrerTable string

// The classes of a referring page. All but classInternal are channels too.
const (
	classSearch   = channelSearch
	classSocial   = channelSocial
	classMail     = channelMail
	classReferral = channelReferral
	classDirect   = channelDirect
	classInternal = "internal"
)

// maxHostBytes is how long a host name may be (RFC 1035, 2.3.4). What is longer
// is nobody's.
const maxHostBytes = 253

// appScheme begins the referrer that an Android app gives: its package follows.
const appScheme = "android-app://"

// referrers tell what kind of page a visit came from. They do not change once
// they are made.
type referrers struct{ hosts map[string]hostClass }

// A hostClass is the class of a host, "" where it has none: with all below it, and of
// itself, also behind one of the front labels.
type hostClass struct{ below, exact string }

func newReferrers() *referrers {
	r := &referrers{make(map[string]hostClass)}
	for line := range strings.Lines(referrerTable) {
		class, host, ok := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case !ok || class == "#":
		case host[0] == '=':
			known := r.hosts[host[1:]]
			known.exact = class
			r.hosts[host[1:]] = known
		default:
			known := r.hosts[host]
			known.below = class
			r.hosts[host] = known
		}
	}
	return r
}

// classify reduces a referring page to its host and class. No referring page
// and one that is neither a web address nor an app are a direct visit.
func (r *referrers) classify(ref, pageHost string) edge.Ref {
	if name, ok := strings.CutPrefix(ref, appScheme); ok {
		name, _, _ = strings.Cut(name, "/")
		if !isAppName(name) {
			return edge.Ref{Class: classDirect}
		}
		return edge.Ref{Host: name, Class: r.class(name)}
	}
	from, ok := splitAddress(ref)
	if !ok {
		return edge.Ref{Class: classDirect}
	}
	if from.host == pageHost {
		return edge.Ref{Host: from.host, Class: classInternal}
	}
	return edge.Ref{Host: from.host, Class: r.class(from.host)}
}

// isAppName reports whether a text can be an Android package.
func isAppName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c|0x20)-'a' > 'z'-'a' && !digit(c) && c != '.' && c != '_' {
			return false
		}
	}
	return name != "" && len(name) <= maxHostBytes
}

// class returns the class of a host: its own, else that of the nearest name
// above it that reaches so far.
func (r *referrers) class(host string) string {
	if len(host) > maxHostBytes {
		return classReferral
	}
	known := r.hosts[host]
	if known.exact != "" {
		return known.exact
	}
	for name := host; known.below == ""; known = r.hosts[name] {
		if _, name, _ = strings.Cut(name, "."); name == "" {
			break
		}
	}
	if known.below != "" {
		return known.below
	}
	if front, name, _ := strings.Cut(host, "."); isFront(front) && r.hosts[name].exact != "" {
		return r.hosts[name].exact
	}
	return classReferral
}

// isFront reports whether a label stands before the names of sites that are the
// same as without it: www, the mobile one, that of a country or a language.
func isFront(label string) bool {
	switch label {
	case "www", "m", "mobile", "wap", "lite", "html", "amp":
		return true
	}
	return len(label) == 2
}
