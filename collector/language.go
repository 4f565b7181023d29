// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/text/language"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/memo"
)

// languages matches what visitors read to what sites speak, and remembers what
// it found. It is safe for concurrent use.
type languages struct {
	cache *memo.Memo[int] // index of the site's language, -1 for none

	mu    sync.Mutex // serialises learning a release
	sites atomic.Pointer[map[string]*siteLanguages]
	last  uint64 // number of the latest siteLanguages
}

// siteLanguages are the languages of one release.
type siteLanguages struct {
	release *edge.Release
	number  uint64 // unique, so that a cached match never outlives its release
	names   []string
	matcher language.Matcher
	// own are the languages that answer to their own names, which needs no matching.
	own map[string]string
}

func newSiteLanguages(names []string) *siteLanguages {
	tags := make([]language.Tag, len(names))
	for i, name := range names {
		tags[i] = language.Make(name)
	}
	s := &siteLanguages{names: names, matcher: language.NewMatcher(tags), own: map[string]string{}}
	for i, name := range names {
		if s.match(&question{prefers: names[i : i+1], exact: true}) == i { // else another is of the same language
			s.own[name] = name
		}
	}
	return s
}

func newLanguages() *languages {
	l := &languages{cache: memo.New[int](maxCacheKey)}
	l.sites.Store(&map[string]*siteLanguages{})
	return l
}

// A question asks for the site's language that suits a reader best.
type question struct {
	// prefers are languages in order of preference; accept is an Accept-Language
	// header, which comes after them.
	prefers []string
	accept  string
	// exact leaves out languages that a reader of another gets by in.
	exact bool
}

// match returns the site's language that answers q best, "" for none.
// Scripts are minded: zh-TW and zh-HK read zh-Hant. scratch is used for the
// look-up and returned for reuse.
func (l *languages) match(site *siteLanguages, q *question, scratch []byte) (best string, rest []byte) {
	key := binary.LittleEndian.AppendUint64(scratch[:0], site.number)
	key = strconv.AppendBool(key, q.exact)
	for _, tag := range q.prefers {
		key = append(append(key, 0), tag...) // neither a tag nor a header can hold the bytes 0 and 1
	}
	key = append(append(key, 1), cut(q.accept, maxAcceptLanguageBytes+1)...)

	i, ok := l.cache.Find(key)
	if !ok {
		i = site.match(q)
		l.cache.Keep(key, i)
	}
	if i < 0 {
		return "", key
	}
	return site.names[i], key
}

// of returns what is known of a release's languages, and learns them when the
// release is new. A site has one entry, so old releases are not kept alive.
func (l *languages) of(release *edge.Release) *siteLanguages {
	if site := (*l.sites.Load())[release.Site()]; site != nil && site.release == release {
		return site
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if site := (*l.sites.Load())[release.Site()]; site != nil && site.release == release {
		return site // learnt while we waited
	}
	l.last++
	site := newSiteLanguages(release.Languages())
	site.release, site.number = release, l.last
	next := maps.Clone(*l.sites.Load())
	next[release.Site()] = site
	l.sites.Store(&next)
	return site
}

// match works an answer out: the first language in order of preference that the
// site speaks, else the first whose readers get by in one that it speaks, else
// any if any will do. The matcher is asked about one at a time, for asked about
// all at once it takes a perfect match further down for better: of "zh-HK, zh"
// it answers the second. What the header refuses is no answer, but for what the
// tag's own list names.
func (s *siteLanguages) match(q *question) int {
	header := readAcceptance(q.accept)
	getsBy := -1
	if len(s.names) == 0 {
		return getsBy
	}
	for n, name := range slices.Concat(q.prefers, header.names) {
		if n == edge.MaxLangs {
			break
		}
		tag, err := language.Parse(name)
		if err != nil || len(name) > edge.MaxLangBytes || tag == language.Und {
			continue
		}
		found, i, confidence := s.matcher.Match(tag)
		refused := header.refuses(s.names[i])
		if sameLanguage(tag, found) && confidence >= language.High && (!refused || n < len(q.prefers)) {
			return i
		}
		if getsBy < 0 && confidence >= language.Low && !q.exact && !refused && !header.none {
			getsBy = i
		}
	}
	if getsBy < 0 && header.any {
		return slices.IndexFunc(s.names, func(name string) bool { return !header.refuses(name) })
	}
	return getsBy
}

// sameLanguage reports whether two tags are of one language, by whatever codes:
// browsers say nb where most sites say no.
func sameLanguage(a, b language.Tag) bool {
	first, _ := language.All.Canonicalize(a)
	second, _ := language.All.Canonicalize(b)
	x, _ := first.Base()
	y, _ := second.Base()
	return x == y
}
