// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/nearside/nearside/edge/nearest"
)

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 256 << 10

// Where the value of a setting comes from. Each goes before those after it.
const (
	fromLine        = "command line"
	fromEnvironment = "environment"
	fromFile        = "file"
	fromDefault     = "default"
)

// A said is what was said of a setting, and where.
type said struct{ value, by string }

// A heard is the value of a flag that remembers what was said.
type heard struct {
	flag.Value
	name string
	c    *Config
}

// Set implements flag.Value.
func (h *heard) Set(text string) error {
	if err := h.Value.Set(text); err != nil {
		return wanted(h.Value, err)
	}
	h.c.note(h.name, text, fromLine)
	return nil
}

// wanted says what a switch or a number takes, of which the flag package only says
// that it cannot be read. YAML's yes, and an empty value, are neither.
func wanted(v flag.Value, err error) error {
	g, ok := v.(flag.Getter)
	if !ok {
		return err
	}
	switch g.Get().(type) {
	case bool:
		return errors.New("want true or false")
	case int, int64:
		return errors.New("want a whole number")
	}
	return err
}

// IsBoolFlag lets a switch stand without a value.
func (h *heard) IsBoolFlag() bool {
	b, ok := h.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func (c *Config) note(name, value, by string) {
	if c.said == nil {
		c.said = map[string]said{}
	}
	c.said[name] = said{value, by}
}

// An entry is a line of a configuration file.
type entry struct {
	name, value string
	line        int
}

// readConfig reads a configuration file: a flat YAML mapping of settings by
// their names, with single values or lists of them. Every name must be a
// setting's and stand once.
func readConfig(file string) ([]entry, error) {
	b, err := readBounded(file, maxConfigBytes)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	entries, err := parseConfig(b)
	if err != nil {
		return nil, usagef("%s: %v", file, err)
	}
	return entries, nil
}

func parseConfig(b []byte) (entries []entry, err error) {
	defer func() { // a panic of the YAML package is an error like any other
		if p := recover(); p != nil {
			err = errors.New("it cannot be read as YAML")
		}
	}()
	loader, err := yaml.NewLoader(bytes.NewReader(b), yaml.WithV4Defaults())
	if err != nil {
		return nil, err
	}
	var root, more yaml.Node
	if err := loader.Load(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil // nothing in it
		}
		return nil, err
	}
	if err := loader.Load(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one document")
	}
	top := &root
	if top.Kind == yaml.DocumentNode && len(top.Content) == 1 {
		top = top.Content[0]
	}
	if top.Kind != yaml.MappingNode {
		return nil, errors.New("want settings as name: value")
	}
	known := settingNames()
	for i := 0; i+1 < len(top.Content); i += 2 {
		name, value := top.Content[i], top.Content[i+1]
		e := entry{name: name.Value, line: name.Line}
		if name.Kind != yaml.ScalarNode || !slices.Contains(known, e.name) {
			return nil, fmt.Errorf("line %d: there is no setting %q%s", e.line, e.name, meant(e.name, known))
		}
		if slices.ContainsFunc(entries, func(other entry) bool { return other.name == e.name }) {
			return nil, fmt.Errorf("line %d: %s stands twice", e.line, e.name)
		}
		if e.value, err = scalars(value); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", e.line, e.name, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// scalars returns a value as the command line would have it: a list with commas.
func scalars(n *yaml.Node) (string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "", nil
		}
		return n.Value, nil
	case yaml.SequenceNode:
		var parts []string
		for _, one := range n.Content {
			if one.Kind != yaml.ScalarNode || strings.Contains(one.Value, ",") {
				return "", errors.New("a list has single values")
			}
			parts = append(parts, one.Value)
		}
		return strings.Join(parts, ","), nil
	default:
		return "", errors.New("want a value or a list of values")
	}
}

// meant says which name a wrong one may stand for.
func meant(name string, known []string) string {
	if hint := nearest.Hint(name, known); hint != "" {
		return "; " + hint
	}
	return ""
}

// fileless are the settings that a file cannot have: where it is.
var fileless = []string{"config"}

// settingNames are the names of a node's settings that a file may have.
func settingNames() (names []string) {
	new(Config).settings().VisitAll(func(f *flag.Flag) {
		if !slices.Contains(fileless, f.Name) {
			names = append(names, f.Name)
		}
	})
	return names
}

// addFile sets what the configuration file says of settings that neither the
// command line nor the environment speaks of.
func (c *Config) addFile(fs *flag.FlagSet) error {
	if c.File == "" {
		return nil
	}
	entries, err := readConfig(c.File)
	if err != nil {
		return err
	}
	for _, e := range entries {
		f := fs.Lookup(e.name)
		if _, before := c.said[e.name]; before || f == nil {
			continue
		}
		if err := f.Value.Set(e.value); err != nil {
			return usagef("%s: line %d: %s: %v", c.File, e.line, e.name, err)
		}
		c.note(e.name, e.value, fromFile)
	}
	return nil
}
