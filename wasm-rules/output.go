// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/nearside/nearside/edge"
)

// ErrNonsense is wrapped by the error for an answer that no correct module
// gives: a variant its manifest does not list, or an output that is malformed.
var ErrNonsense = errors.New("nonsense answer")

// ParseOutput reads a guest's output buffer: the reason in words and the chosen
// items. The buffer is not believed: what does not follow ABI.md section 4
// exactly is an error that wraps ErrNonsense. The result holds copies. An
// output without entries gives nothing and allocates nothing.
func ParseOutput(buffer []byte) (because string, items []edge.AnswerItem, err error) {
	if len(buffer) < 4 {
		return "", nil, nonsense("the output buffer has %d bytes", len(buffer))
	}
	length := le.Uint32(buffer)
	if int64(length) > int64(min(len(buffer), MaxOutputBytes)-4) {
		return "", nil, nonsense("the output says it has %d bytes", length)
	}
	var seen bool
	for rest := buffer[4 : 4+length]; len(rest) > 0; {
		if len(rest) < 4 {
			return "", nil, nonsense("the output ends inside an entry's header")
		}
		tag, n := rest[0], int(le.Uint16(rest[2:]))
		if rest[1] != 0 || n > len(rest)-4 {
			return "", nil, nonsense("entry of tag %d has reserved byte %d and %d bytes", tag, rest[1], n)
		}
		content := rest[4 : 4+n]
		rest = rest[4+n:]
		if tag < tagBecause || tag > tagText {
			continue
		}
		if !utf8.Valid(content) {
			return "", nil, nonsense("entry of tag %d is not UTF-8", tag)
		}
		if tag == tagBecause {
			if seen {
				return "", nil, nonsense("the reason in words stands twice")
			}
			seen, because = true, string(content)
			continue
		}
		if items, err = parseItem(items, tag, string(content)); err != nil {
			return "", nil, err
		}
	}
	return because, items, nil
}

// parseItem adds an item, or completes the last one.
func parseItem(items []edge.AnswerItem, tag byte, content string) ([]edge.AnswerItem, error) {
	if tag == tagItem {
		if content == "" {
			return nil, nonsense("an item has no id")
		}
		return append(items, edge.AnswerItem{ID: content}), nil
	}
	if len(items) == 0 {
		return nil, nonsense("entry of tag %d stands before any item", tag)
	}
	last := &items[len(items)-1]
	part := &last.Reason
	if tag == tagText {
		part = &last.Text
	}
	if *part != "" {
		return nil, nonsense("entry of tag %d stands twice for one item", tag)
	}
	*part = content
	return items, nil
}

// nonsense never quotes the guest: its output may hold a visitor's data.
func nonsense(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNonsense, fmt.Sprintf(format, args...))
}
