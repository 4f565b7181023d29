// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge/nearest"
)

// A shape says what may stand at a place of a site file. The reader checks by
// it, and the JSON Schema is made from it.
type shape struct {
	kind kind
	// any allows every value, of a mapping every key; with the kind null it is of
	// any kind.
	any bool
	// says describes it, in the words that an editor shows; name is what the
	// schema calls it where it stands in several places or is a thing of its own.
	says, name string
	// keys are those of a mapping; nil where names says which may be.
	keys []key
	// each is the shape of a list's items and of the values of a mapping whose
	// keys are names.
	each *shape
	// names is the pattern of the names.
	names *pattern
	// words are the only values of a text; pattern is how others look.
	words   []string
	pattern *pattern
	// least is the smallest whole number, the fewest items or the fewest
	// characters; most is the largest number or the most characters, 0 for any.
	least, most int
	// ways are the forms of a mapping of which one must be chosen.
	ways []way
	// or are other shapes, each of another kind.
	or []*shape
	// example is a value that an editor may offer, and a hint tells.
	example string
}

// A key is one key of a mapping.
type key struct {
	name  string
	shape *shape
	// must says that it may not be left out.
	must bool
}

// A way is one form of a mapping: what it needs, and what it has no use for. The
// first key that it needs is what tells it from the others.
type way struct {
	title string
	needs []string
	not   []string
}

// A pattern is a regular expression and what it means in words.
type pattern struct {
	*regexp.Regexp
	words string
}

func patternOf(expression, words string) *pattern {
	return &pattern{regexp.MustCompile(expression), words}
}

// key returns a mapping's key by name, or nil.
func (s *shape) key(name string) *key {
	for i := range s.keys {
		if s.keys[i].name == name {
			return &s.keys[i]
		}
	}
	return nil
}

// options are the shape and its alternatives.
func (s *shape) options() []*shape { return append([]*shape{s}, s.or...) }

// fits returns which of the shape's alternatives a node is to be checked by, or
// nil when it is of no kind that may be.
func (s *shape) fits(n *node) *shape {
	for _, o := range s.options() {
		if o.any && o.kind == null || o.kind == n.kind || o.kind == number && n.kind == whole {
			return o
		}
	}
	return nil
}

// wanted says in words what kinds may be.
func (s *shape) wanted() string {
	var words []string
	for _, o := range s.options() {
		words = append(words, kindWords[o.kind])
	}
	return strings.Join(words, " or ")
}

// check compares a node with a shape and reports every difference.
func (f *Findings) check(n *node, s *shape, what string) {
	o := s.fits(n)
	if o == nil {
		f.add(n.finding(CodeType, typeHint(n, s), "%s is %s, want %s", what, kindWords[n.kind], s.wanted()))
		return
	}
	switch n.kind {
	case text:
		f.checkText(n, o, what)
	case whole:
		f.checkWhole(n, o, what)
	case list:
		if len(n.kids) < o.least {
			f.add(n.finding(CodeValue, "", "%s is empty", what))
		}
		for _, item := range n.kids {
			if !o.any {
				f.check(item, o.each, o.each.titled("an item of "+what))
			}
		}
	case mapping:
		if !o.any {
			f.checkMapping(n, o, what)
		}
	}
}

func (f *Findings) add(one Finding) { *f = append(*f, one) }

// typeHint is what is mostly meant by a value of another kind.
func typeHint(n *node, s *shape) string {
	if n.kind == number && slices.ContainsFunc(s.options(), func(o *shape) bool { return o.kind == whole }) {
		return "leave the fraction out"
	}
	scalar := n.kind == boolean || n.kind == whole || n.kind == number
	if scalar && slices.ContainsFunc(s.options(), func(o *shape) bool { return o.kind == text }) {
		if s.example != "" {
			return "write it like " + s.example
		}
		return `put text that looks like something else in quotes: "` + n.text + `"`
	}
	if s.kind == list && n.kind == text {
		return "a list is [" + n.text + "]"
	}
	if n.kind == null && strings.HasPrefix(strings.TrimSpace(n.file.rest(n.line, n.column)), "#") {
		return "text that begins with # stands in quotes"
	}
	if s.kind == mapping && n.kind == text && len(s.keys) > 0 && s.keys[0].must {
		return "write {" + s.keys[0].name + ": " + short(n.text) + "}"
	}
	return ""
}

func (f *Findings) checkText(n *node, s *shape, what string) {
	switch {
	case s.any:
	case len(s.words) > 0 && !slices.Contains(s.words, n.text):
		f.add(n.finding(CodeValue, nearest.Hint(n.text, s.words), "%s is %.64q, want one of %s", what, n.text, strings.Join(s.words, ", ")))
	case s.pattern != nil && !s.pattern.MatchString(n.text):
		f.add(n.finding(CodeValue, "", "%s is %.64q, want %s", what, n.text, s.pattern.words))
	case len(n.text) < s.least:
		f.add(n.finding(CodeValue, "", "%s is empty", what))
	case s.most > 0 && len(n.text) > s.most:
		f.add(n.finding(CodeValue, "", "%s has %d characters, at most %d", what, len(n.text), s.most))
	}
}

func (f *Findings) checkWhole(n *node, s *shape, what string) {
	if s.any || s.kind == number {
		return
	}
	value, err := n.integer()
	if err != nil || s.most > 0 && (value < s.least || value > s.most) {
		f.add(n.finding(CodeValue, "", "%s is %.32s, want %s", what, n.text, s.bounds()))
	}
}

func (f *Findings) checkMapping(n *node, s *shape, what string) {
	for i, k := range n.keys {
		switch known := s.key(k.text); {
		case known != nil:
			f.check(n.kids[i], known.shape, k.text)
		case s.keys != nil:
			f.unknownKey(k, s, what)
		case s.names != nil && !s.names.MatchString(k.text):
			f.add(k.finding(CodeValue, "", "%.64q is not %s", k.text, s.names.words))
		default:
			f.check(n.kids[i], s.each, what+" of "+short(k.text))
		}
	}
	if len(n.keys) < s.least {
		f.add(n.finding(CodeValue, "", "%s is empty", what))
	}
	for i := range s.keys {
		if k := &s.keys[i]; k.must && n.get(k.name) == nil {
			f.add(n.finding(CodeMissing, "", "%s has no %s", what, k.name))
		}
	}
	f.checkWays(n, s, what)
}

func (f *Findings) unknownKey(k *node, s *shape, what string) {
	var names []string
	for i := range s.keys {
		names = append(names, s.keys[i].name)
	}
	hint := cmp.Or(nearest.Hint(k.text, names), "there are "+strings.Join(names, ", "))
	f.add(k.finding(CodeUnknownKey, hint, "%s has no key %.64q", what, k.text))
}

// checkWays lets a mapping choose one of its forms, by the keys that it has.
func (f *Findings) checkWays(n *node, s *shape, what string) {
	if len(s.ways) == 0 {
		return
	}
	for _, w := range s.ways {
		if n.get(w.needs[0]) == nil {
			continue
		}
		for _, name := range w.needs {
			if n.get(name) == nil {
				f.add(n.finding(CodeMissing, "", "%s has no %s", w.title, name))
			}
		}
		for i, k := range n.keys {
			if slices.Contains(w.not, k.text) {
				f.add(n.keys[i].finding(CodeUnknownKey, "", "%s has no %s", w.title, k.text))
			}
		}
		return
	}
	var first []string
	for _, w := range s.ways {
		first = append(first, w.needs[0])
	}
	f.add(n.finding(CodeMissing, "", "%s has neither %s", what, strings.Join(first, " nor ")))
}

// titled says what a thing of the shape is called in a message, by default as
// given.
func (s *shape) titled(what string) string {
	if s.kind != mapping || s.name == "" {
		return what
	}
	if strings.ContainsRune("aeiou", rune(s.name[0])) {
		return "an " + s.name
	}
	return "a " + s.name
}

// bounds says which whole numbers may be.
func (s *shape) bounds() string {
	if s.most > 0 {
		return fmt.Sprintf("a whole number from %d to %d", s.least, s.most)
	}
	return "a whole number"
}

// short bounds a name of somebody's choosing in a message.
func short(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "…"
	}
	return name
}
