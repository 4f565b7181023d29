// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/nearest"
)

// A Spec is a sink as its file describes it, with defaults filled in.
type Spec struct {
	Name string
	Kind string
	// Needs are the purposes that an event must have been granted.
	Needs consent.Purposes
	// Sites are those whose events the sink gets, all if it is empty.
	Sites []string
	// FromStart begins a new sink with the oldest event that the log holds rather
	// than with the next one.
	FromStart bool

	// Of files.
	Dir         string
	RotateBytes int64
	RotateAfter time.Duration
	Gzip        bool

	// Of webhooks.
	URL         *url.URL
	Secret      []byte
	CAFile      string
	Allow       []netip.Prefix // private addresses that may be called all the same
	Timeout     time.Duration
	Concurrency int
	MaxEvents   int
	MaxBytes    int
	pause       pause // before a message is sent again
}

// Bounds of a file of sinks.
const (
	// MaxFileBytes bounds the file, MaxSinks how many it lists: each has a
	// goroutine, a few megabytes and labels in the metrics.
	MaxFileBytes = 256 << 10
	MaxSinks     = 32
)

// A kind is a row of the table of sinks.
type kind struct {
	// members are the members of its own that its description has.
	members []member
	// needs are the purposes it needs unless its description says otherwise.
	needs consent.Purposes
	open  func(context.Context, *Spec, Circumstances) (Sink, error)
}

// What an event must have been granted to leave for the owner's own files, and
// for a third party.
const (
	ownNeeds        = consent.Measure
	thirdPartyNeeds = consent.Measure | consent.Share
)

// defaults fills in what a description leaves out.
func (s *Spec) defaults() {
	s.Needs = kinds[s.Kind].needs
	s.RotateBytes, s.RotateAfter = 64<<20, 5*time.Minute
	s.Timeout, s.Concurrency, s.MaxEvents, s.MaxBytes = 10*time.Second, 4, 100, 1<<20
	s.pause = pause{500 * time.Millisecond, 5 * time.Minute}
}

// Parse reads a file of sinks: a YAML list of mappings. getenv looks up what a
// description takes from the environment. Its error names every place that is
// wrong, by line and member, and shows no secret.
func Parse(file string, content []byte, getenv func(string) (string, bool)) ([]*Spec, error) {
	r := &reader{file: file, getenv: getenv}
	root := r.parse(content)
	var specs []*Spec
	if root != nil && r.want(root, listValue) {
		if len(root.kids) > MaxSinks {
			r.bad(root, "%d sinks, at most %d are allowed", len(root.kids), MaxSinks)
			return nil, errors.Join(r.errs...)
		}
		for _, item := range root.kids {
			if s := r.spec(item); s != nil {
				specs = append(specs, s)
			}
		}
		r.distinct(root, specs)
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return specs, nil
}

// Kinds returns the names of the kinds of sinks, sorted.
func Kinds() []string {
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// spec reads one description.
func (r *reader) spec(v *value) *Spec {
	if !r.want(v, mappingValue) {
		return nil
	}
	at := v.get("kind")
	if at == nil {
		r.bad(v, "kind is missing: one of %s", strings.Join(Kinds(), ", "))
		return nil
	}
	s := &Spec{Kind: r.text(at)}
	k, ok := kinds[s.Kind]
	if !ok {
		r.bad(at, "kind: there is no %.40q, want one of %s", s.Kind, strings.Join(Kinds(), ", "))
		return nil
	}
	s.defaults()
	known := r.members(v, s, append(slices.Clone(commonMembers), k.members...))
	for _, key := range v.keys {
		if slices.Contains(known, key.scalar) {
			continue
		}
		hint := nearest.Hint(key.scalar, known)
		r.bad(key, "a %s sink has no member %.40q%s", s.Kind, key.scalar, strings.TrimSuffix("; "+hint, "; "))
	}
	if s.Kind == "webhook" && v.get("secretEnv") == nil && v.get("secretFile") == nil {
		r.bad(v, "secretEnv or secretFile is missing")
	}
	return s
}

// members reads the members that a description has, and returns all it may have.
func (r *reader) members(v *value, s *Spec, members []member) (known []string) {
	known = []string{"kind"}
	for _, m := range members {
		known = append(known, m.name)
		at := v.get(m.name)
		switch {
		case at != nil:
			r.member = m.name
			m.set(r, s, at)
			r.member = ""
		case m.required:
			r.bad(v, "%s is missing", m.name)
		}
	}
	return known
}

// distinct refuses two sinks of one name or in one directory.
func (r *reader) distinct(root *value, specs []*Spec) {
	seen := map[string]bool{}
	for _, s := range specs {
		for _, what := range []string{"name " + s.Name, "dir " + s.Dir} {
			switch {
			case what == "dir ":
			case seen[what]:
				r.bad(root, "two sinks have the %s", what)
			}
			seen[what] = true
		}
		for _, other := range specs {
			if s != other && s.Dir != "" && strings.HasPrefix(s.Dir, other.Dir+string(filepath.Separator)) && other.Dir != "" {
				r.bad(root, "the dir of %s lies in that of %s", s.Name, other.Name)
			}
		}
	}
}
