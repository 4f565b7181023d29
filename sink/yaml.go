// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxDepth bounds the collections of a file of sinks in each other.
const maxDepth = 8

// maxErrs bounds what is said at once.
const maxErrs = 20

// What a value of the file is.
const (
	scalarValue = iota
	listValue
	mappingValue
)

var valueWords = [...]string{"a plain value", "a list", "a mapping"}

// A value is one value of the file with its line.
type value struct {
	kind       int
	scalar     string
	quoted     bool
	keys, kids []*value
	line       int
}

func (v *value) get(key string) *value {
	for i, k := range v.keys {
		if k.scalar == key {
			return v.kids[i]
		}
	}
	return nil
}

// A reader reads a file of sinks and gathers what is wrong with it.
type reader struct {
	file   string
	getenv func(string) (string, bool)
	member string // what is read just now
	errs   []error
}

// bad notes what is wrong at a value.
func (r *reader) bad(v *value, format string, args ...any) {
	if len(r.errs) == maxErrs {
		return
	}
	line, member := 1, r.member
	if v != nil {
		line = v.line
	}
	if member != "" {
		member += ": "
	}
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s%s", r.file, line, member, fmt.Sprintf(format, args...)))
}

// parse reads the file's one document, nil for none.
func (r *reader) parse(content []byte) *value {
	if len(content) > MaxFileBytes {
		r.bad(nil, "%d bytes, at most %d are allowed", len(content), MaxFileBytes)
		return nil
	}
	var document, second yaml.Node
	err := load(content, &document, &second)
	switch {
	case err != nil:
		at, message := &value{line: 1}, "it is not YAML"
		if wrong, ok := errors.AsType[*yaml.LoadError](err); ok {
			at.line, message = max(wrong.Mark.Line, 1), wrong.Message
		}
		r.bad(at, "%s", message)
		return nil
	case document.Kind == 0 || len(document.Content) == 0:
		r.bad(nil, "there is no sink: want a list")
		return nil
	case second.Kind != 0:
		r.bad(nil, "two documents, want one")
		return nil
	}
	return r.value(document.Content[0])
}

// load reads as many documents. A panic of the YAML package is an error like any
// other: it must not end the program.
func load(content []byte, documents ...*yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("it cannot be read")
		}
	}()
	limits := loaderlimits.New(loaderlimits.DepthValue(maxDepth))
	loader, err := yaml.NewLoader(bytes.NewReader(content), yaml.WithV4Defaults(), yaml.WithPlugin(limits))
	if err != nil {
		return err
	}
	for _, d := range documents {
		if err := loader.Load(d); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// value makes a value, and refuses what a file of sinks does not use of YAML.
func (r *reader) value(from *yaml.Node) *value {
	v := &value{line: max(from.Line, 1), scalar: from.Value}
	if from.Kind == yaml.AliasNode || from.Anchor != "" || from.Style&yaml.TaggedStyle != 0 {
		r.bad(v, "there are no anchors, aliases and tags here")
		return v
	}
	switch from.Kind {
	case yaml.MappingNode:
		v.kind = mappingValue
		for i := 0; i+1 < len(from.Content); i += 2 {
			r.pair(v, r.value(from.Content[i]), r.value(from.Content[i+1]))
		}
	case yaml.SequenceNode:
		v.kind = listValue
		for _, item := range from.Content {
			v.kids = append(v.kids, r.value(item))
		}
	default:
		v.quoted = from.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	}
	return v
}

func (r *reader) pair(of, key, val *value) {
	switch {
	case key.kind != scalarValue:
		r.bad(key, "a key is %s", valueWords[key.kind])
	case of.get(key.scalar) != nil:
		r.bad(key, "%.40q stands here twice", key.scalar)
	default:
		of.keys, of.kids = append(of.keys, key), append(of.kids, val)
	}
}

func (r *reader) want(v *value, kind int) bool {
	if v.kind != kind {
		r.bad(v, "it is %s, want %s", valueWords[v.kind], valueWords[kind])
	}
	return v.kind == kind
}

// text returns a value that is not empty.
func (r *reader) text(v *value) string {
	if r.want(v, scalarValue) && v.scalar == "" {
		r.bad(v, "it is empty")
	}
	return v.scalar
}

// texts returns a list of texts.
func (r *reader) texts(v *value) []string {
	if !r.want(v, listValue) {
		return nil
	}
	out := make([]string, len(v.kids))
	for i, item := range v.kids {
		out[i] = r.text(item)
	}
	return out
}

func (r *reader) number(v *value, low, high int64) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(v.scalar, "_", ""), 10, 64)
	if v.kind != scalarValue || v.quoted || err != nil || n < low || n > high {
		r.bad(v, "want a whole number from %d to %d", low, high)
		return low
	}
	return n
}

func (r *reader) span(v *value, low, high time.Duration) time.Duration {
	d, err := time.ParseDuration(v.scalar)
	if v.kind != scalarValue || err != nil || d < low || d > high {
		r.bad(v, "want a duration from %v to %v, like 90s or 5m", low, high)
		return low
	}
	return d
}

func (r *reader) yes(v *value) bool {
	if v.kind != scalarValue || v.quoted || v.scalar != "true" && v.scalar != "false" {
		r.bad(v, "want true or false")
	}
	return v.scalar == "true"
}
