// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/text/language"

	"github.com/nearside/nearside/edge"
)

// maxAcceptLanguageBytes bounds what is read of Accept-Language.
const maxAcceptLanguageBytes = 256

// languages matches what visitors read to what sites speak, and remembers what
// it found. It is safe for concurrent use.
type languages struct {
	cache *cache[int] // index of the site's language, -1 for none

	mu    sync.Mutex // serialises learning a release
	sites atomic.Pointer[map[string]*siteLanguages]
	last  uint64 // number of the latest siteLanguages
}

// siteLanguages are the languages of one release.
type siteLanguages struct {
	release *edge.Release
	number  uint64 // unique, so that a cached match never outlives its release
	matcher language.Matcher
}

func newLanguages() *languages {
	l := &languages{cache: newCache[int]()}
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

// match returns the release's language that answers q best, "" for none.
// Scripts are minded: zh-TW and zh-HK read zh-Hant. scratch is used for the
// look-up and returned for reuse.
func (l *languages) match(release *edge.Release, q *question, scratch []byte) (best string, rest []byte) {
	site := l.of(release)
	key := binary.LittleEndian.AppendUint64(scratch[:0], site.number)
	key = strconv.AppendBool(key, q.exact)
	for _, tag := range q.prefers {
		key = append(append(key, 0), tag...) // neither a tag nor a header can hold the bytes 0 and 1
	}
	key = append(append(key, 1), cut(q.accept, maxAcceptLanguageBytes)...)

	i, ok := l.cache.find(key)
	if !ok {
		i = site.match(q)
		l.cache.keep(key, i)
	}
	if i < 0 {
		return "", key
	}
	return release.Languages()[i], key
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
	site := &siteLanguages{release: release, number: l.last}
	tags := make([]language.Tag, 0, len(release.Languages()))
	for _, name := range release.Languages() {
		tags = append(tags, language.Make(name))
	}
	site.matcher = language.NewMatcher(tags)
	next := maps.Clone(*l.sites.Load())
	next[release.Site()] = site
	l.sites.Store(&next)
	return site
}

// match works an answer out: the first language in order of preference that the
// site speaks, else the first whose readers get by in one that it speaks. The
// matcher is asked about one at a time, for asked about all at once it takes a
// perfect match further down for better: of "zh-HK, zh" it answers the second.
func (s *siteLanguages) match(q *question) int {
	wanted := make([]language.Tag, 0, edge.MaxLangs)
	for _, name := range slices.Concat(q.prefers, acceptedLanguages(cut(q.accept, maxAcceptLanguageBytes))) {
		if len(wanted) == edge.MaxLangs {
			break
		}
		if tag, err := language.Parse(name); err == nil && len(name) <= edge.MaxLangBytes && tag != language.Und {
			wanted = append(wanted, tag)
		}
	}
	getsBy := -1
	for _, tag := range wanted {
		found, i, confidence := s.matcher.Match(tag)
		base, _ := tag.Base()
		if same, _ := found.Base(); base == same && confidence >= language.High {
			return i
		}
		if getsBy < 0 && confidence >= language.Low && !q.exact {
			getsBy = i
		}
	}
	return getsBy
}

// acceptedLanguages returns the languages of an Accept-Language header in order
// of preference (RFC 9110, 12.5.4). What cannot be read is passed over.
func acceptedLanguages(header string) []string {
	type weighted struct {
		name   string
		weight float64
	}
	var list []weighted
	for entry := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(entry, ";")
		w := weighted{trimSpace(name), 1}
		if value, ok := strings.CutPrefix(trimSpace(parameters), "q="); ok {
			q, err := strconv.ParseFloat(trimSpace(value), 64)
			if err != nil || !(q > 0 && q <= 1) {
				continue
			}
			w.weight = q
		}
		if w.name != "" && w.name != "*" {
			list = append(list, w)
		}
	}
	slices.SortStableFunc(list, func(a, b weighted) int { return cmp.Compare(b.weight, a.weight) })
	names := make([]string, len(list))
	for i, w := range list {
		names[i] = w.name
	}
	return names
}
