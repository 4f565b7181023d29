// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// scan reads HTML into b, token by token. It asks for more order than a browser
// does: what a browser would silently repair or skip is an error.
func scan(source string, b *builder) error {
	at := newCursor(source)
	if bad := badByte(source, "\t\n\r"); bad >= 0 {
		return (&Error{Code: Encoding, Reason: "the source has a control character or a byte that is not UTF-8"}).at(at.ahead(bad))
	}
	source = strings.TrimPrefix(source, "\ufeff")
	at = newCursor(source)
	z := html.NewTokenizer(strings.NewReader(source))
	for {
		kind := z.Next()
		raw := z.Raw()
		if kind == html.ErrorToken {
			if at.offset < len(source) {
				return (&Error{Code: Syntax, Reason: "a tag is not finished"}).at(at.place)
			}
			return nil
		}
		if err := scanToken(z, kind, at, b); err != nil {
			return err
		}
		at.moveTo(at.offset + len(raw))
	}
}

func scanToken(z *html.Tokenizer, kind html.TokenType, at cursor, b *builder) error {
	raw := z.Raw()
	switch kind {
	case html.TextToken:
		return b.text(string(z.Text()), at.place)
	case html.StartTagToken, html.SelfClosingTagToken:
		return scanStart(z, at, b)
	case html.EndTagToken:
		name, _ := z.TagName()
		if written, _ := scanAttrs(string(raw)); len(written) > 0 {
			return (&Error{Code: Attribute, Tag: string(name), Reason: "an end tag has no attributes"}).at(at.place)
		}
		return b.endTag(string(name), at.place)
	case html.CommentToken:
		// A browser also reads <?…> and </…> as comments, and one without an
		// end up to the end: all of them hide what was meant to be seen.
		if !bytes.HasPrefix(raw, []byte("<!--")) {
			return (&Error{Code: Syntax, Reason: fmt.Sprintf("%q is not HTML", shorten(string(raw)))}).at(at.place)
		}
		if !bytes.HasSuffix(raw, []byte("-->")) {
			return (&Error{Code: Syntax, Reason: `a comment does not end with "-->"`}).at(at.place)
		}
		return nil
	default:
		return (&Error{Code: Syntax, Reason: "a slot holds a part of a page, so it has no doctype"}).at(at.place)
	}
}

func scanStart(z *html.Tokenizer, at cursor, b *builder) error {
	written, rest := scanAttrs(string(z.Raw()))
	name, more := z.TagName()
	tag := string(name)
	var attrs []Attr
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		attrs = append(attrs, Attr{string(key), string(value)})
	}
	checked, err := checkElement(tag, attrs, repairing)
	if err != nil {
		for _, w := range written {
			if strings.EqualFold(w.name, err.Attr) {
				return err.at(at.ahead(w.offset))
			}
		}
		return err.at(at.place)
	}
	if len(written) != len(attrs) {
		return repeated(tag, written, at)
	}
	if strings.Contains(rest, "/") && !voidTags[tag] {
		return (&Error{Code: Unclosed, Tag: tag, Reason: "HTML ignores the slash in the tag; the element needs an end tag"}).at(at.place)
	}
	return b.startTag(tag, checked, at.place)
}

// A writtenAttr is the name of an attribute as its tag spells it, and where.
type writtenAttr struct {
	name   string
	offset int // in the tag
}

// repeated returns the error for the first attribute that comes twice, of which
// the tokenizer tells only one.
func repeated(tag string, written []writtenAttr, at cursor) error {
	seen := make(map[string]bool)
	for _, w := range written {
		name := strings.ToLower(w.name)
		if seen[name] {
			return (&Error{Code: Attribute, Tag: tag, Attr: name, Reason: "the attribute comes twice"}).at(at.ahead(w.offset))
		}
		seen[name] = true
	}
	return (&Error{Code: Syntax, Tag: tag, Reason: "the attributes cannot be told apart"}).at(at.place)
}

// scanAttrs returns the attributes of a tag as written, and what is behind the
// last. It follows the tokenizer of the HTML standard, section 13.2.5.32 on,
// which tells neither places nor repeated attributes.
func scanAttrs(raw string) (written []writtenAttr, rest string) {
	const spaces = " \t\n\r\f"
	i := 2 + strings.IndexAny(raw[2:], spaces+"/>") // behind "<p" or "</"
	for {
		rest = raw[i:]
		i = len(raw) - len(strings.TrimLeft(rest, spaces+"/"))
		if i >= len(raw)-1 { // the closing bracket
			return written, rest
		}
		// A name may begin with the equals sign that ends others.
		length := 1 + strings.IndexAny(raw[i+1:], spaces+"/>=")
		written = append(written, writtenAttr{raw[i : i+length], i})
		i += length
		if value := strings.TrimLeft(raw[i:], spaces); value[0] == '=' {
			value = strings.TrimLeft(value[1:], spaces)
			i = len(raw) - len(value) + valueLength(value)
		}
	}
}

// valueLength returns the length of the value that s begins with, its quotes
// included.
func valueLength(s string) int {
	if s[0] == '"' || s[0] == '\'' {
		return 2 + strings.IndexByte(s[1:], s[0])
	}
	return strings.IndexAny(s, " \t\n\r\f>")
}

// badByte returns the offset of the first byte that is not part of a UTF-8
// character or is a control character not in allowed, and -1 if there is none.
// U+007F to U+009F are controls too.
func badByte(s, allowed string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
		if (r < ' ' || 0x7f <= r && r <= 0x9f) && !strings.ContainsRune(allowed, r) {
			return i
		}
	}
	return -1
}
