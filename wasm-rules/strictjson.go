// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxJSONDepth is how deep objects and lists may nest in a manifest or in
// settings.
const maxJSONDepth = 32

// A jsonError says where in a JSON text something is wrong.
type jsonError struct {
	// at is a JSON pointer (RFC 6901), empty for the whole text.
	at, what string
}

func (e *jsonError) Error() string {
	if e.at == "" {
		return e.what
	}
	return e.at + ": " + e.what
}

// tidyJSON returns a JSON text without white space and with every string
// spelled in one way, so that a guest's few lines of scanner and a whole parser
// read the same. It refuses what two readers could take for different things: a
// member that stands twice, a number that no float64 holds, bytes that are not
// UTF-8, nesting without end, and anything after the value.
func tidyJSON(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, &jsonError{what: "not UTF-8"}
	}
	t := tidier{from: json.NewDecoder(bytes.NewReader(text))}
	t.from.UseNumber()
	if err := t.value(); err != nil {
		return nil, err
	}
	if _, err := t.from.Token(); !errors.Is(err, io.EOF) {
		return nil, &jsonError{what: "something follows the JSON value"}
	}
	return t.out, nil
}

// A tidier copies JSON from one place to another.
type tidier struct {
	from *json.Decoder
	out  []byte
	path []string
}

func (t *tidier) bad(format string, args ...any) error {
	var at strings.Builder
	for _, member := range t.path {
		at.WriteString("/" + escapePointer(member))
	}
	return &jsonError{at.String(), fmt.Sprintf(format, args...)}
}

// escapePointer spells a member's name as a JSON pointer does.
func escapePointer(member string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(member)
}

func (t *tidier) token() (json.Token, error) {
	token, err := t.from.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, t.bad("not JSON: %v", err)
	}
	return token, nil
}

func (t *tidier) value() error {
	token, err := t.token()
	if err != nil {
		return err
	}
	if len(t.path) > maxJSONDepth {
		return t.bad("nested deeper than %d", maxJSONDepth)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return t.object()
		}
		return t.list()
	case json.Number:
		if _, err := strconv.ParseFloat(token.String(), 64); err != nil || len(token) > maxNumberBytes {
			return t.bad("a number that is too large or too long")
		}
		t.out = append(t.out, token...)
	case string:
		t.string(token)
	case bool:
		t.out = strconv.AppendBool(t.out, token)
	default:
		t.out = append(t.out, "null"...)
	}
	return nil
}

// maxNumberBytes is how many characters a number may have.
const maxNumberBytes = 64

func (t *tidier) object() error {
	t.out = append(t.out, '{')
	seen := map[string]bool{}
	for t.from.More() {
		token, err := t.token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		t.path = append(t.path, name)
		if seen[name] {
			return t.bad("stands twice")
		}
		if len(seen) > 0 {
			t.out = append(t.out, ',')
		}
		seen[name] = true
		t.string(name)
		t.out = append(t.out, ':')
		if err := t.value(); err != nil {
			return err
		}
		t.path = t.path[:len(t.path)-1]
	}
	_, err := t.token()
	t.out = append(t.out, '}')
	return err
}

func (t *tidier) list() error {
	t.out = append(t.out, '[')
	for i := 0; t.from.More(); i++ {
		t.path = append(t.path, strconv.Itoa(i))
		if i > 0 {
			t.out = append(t.out, ',')
		}
		if err := t.value(); err != nil {
			return err
		}
		t.path = t.path[:len(t.path)-1]
	}
	_, err := t.token()
	t.out = append(t.out, ']')
	return err
}

// string writes a string with no more escapes than JSON asks for.
func (t *tidier) string(s string) {
	const hex = "0123456789abcdef"
	t.out = append(t.out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			t.out = append(t.out, '\\', c)
		case c < ' ':
			t.out = append(t.out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			t.out = append(t.out, c)
		}
	}
	t.out = append(t.out, '"')
}
