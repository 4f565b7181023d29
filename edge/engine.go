// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// An Engine decides for every site it has a release of. It is safe for
// concurrent use.
type Engine struct {
	node    string
	locator Locator
	loader  RuleLoader
	sealer  *Sealer

	answers answers // of consent strings
	lately  *lately

	erasures Erasures // nil without any
	profiles Profiles // nil where none are kept

	previewer Previewer // nil without previews
	previews  previews

	publishing sync.Mutex // serialises Publish
	releases   atomic.Pointer[map[string]*Release]
}

// Options are what an engine works with. All are needed but Erasures, Profiles and
// Previewer.
type Options struct {
	// Node names this process in stored events.
	Node    string
	Locator Locator
	Loader  RuleLoader
	Sealer  *Sealer
	// Erasures says whose states and late events are refused.
	Erasures Erasures
	// Previewer lets a signed link show a release before it is live.
	Previewer Previewer
	// Profiles keeps what is known of people who were identified.
	Profiles Profiles
}

// New returns an engine without sites.
func New(o Options) *Engine {
	e := &Engine{node: o.Node, locator: o.Locator, loader: o.Loader, sealer: o.Sealer, answers: newAnswers(), lately: newLately(), erasures: o.Erasures, previewer: o.Previewer, profiles: o.Profiles}
	e.releases.Store(&map[string]*Release{})
	return e
}

// Release returns the live release of a site.
func (e *Engine) Release(site string) (*Release, bool) {
	r, ok := (*e.releases.Load())[site]
	return r, ok
}

// Sites returns the ids of the sites that have a release, in order.
func (e *Engine) Sites() []string { return slices.Sorted(maps.Keys(*e.releases.Load())) }

// Publish makes a release document live. A document that does not compile
// changes nothing. Requests under way finish on the release they began with.
func (e *Engine) Publish(document []byte) (*Release, error) {
	release, err := CompileRelease(document, e.loader)
	if err != nil {
		return nil, err
	}
	e.setLive(release)
	return release, nil
}

// PublishPartly makes a release document live whose modules cannot all be
// loaded. A module that cannot fails wherever it is asked: each slot goes on with
// what else it has. missing says which modules those are, nil for none. Anything
// else that is wrong with the document is err and changes nothing.
func (e *Engine) PublishPartly(document []byte) (release *Release, missing, err error) {
	c := &compiler{loader: e.loader, partly: true}
	if release, err = compileRelease(document, c); err != nil {
		return nil, nil, err
	}
	e.setLive(release)
	return release, errors.Join(c.missing...), nil
}

func (e *Engine) setLive(release *Release) {
	e.publishing.Lock()
	defer e.publishing.Unlock()
	next := maps.Clone(*e.releases.Load())
	if before := next[release.Site()]; before != nil {
		release.inheritTallies(before)
	}
	next[release.Site()] = release
	e.releases.Store(&next)
}
