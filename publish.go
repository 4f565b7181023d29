// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/nearside/nearside/demo"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/tag"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// errRelease reports a release document that does not compile.
var errRelease = errors.New("release refused")

// fillModules gives each module of a document that names no hash the one that
// source has under its name and version.
func fillModules(document []byte, source wasmrules.ModuleSource) ([]byte, error) {
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("%w: %w", errRelease, err)
	}
	listed, listErr := source.List() // an error leaves modules out; what is missing is told below
	for i := range doc.Modules {
		ref := &doc.Modules[i]
		if ref.Hash != "" {
			continue
		}
		for _, m := range listed {
			if m.Manifest.Name == ref.Name && (ref.Version == "" || ref.Version == m.Manifest.Version) {
				ref.Version, ref.Hash = m.Manifest.Version, m.Hash
			}
		}
		if ref.Hash == "" {
			return nil, errors.Join(fmt.Errorf("%w: there is no module %s@%s here", errRelease, ref.Name, ref.Version), listErr)
		}
	}
	return json.Marshal(doc)
}

// newDemo makes the demo shop, which says with a secret who has signed in.
func newDemo(cfg Config, secret []byte) (*demo.Demo, error) {
	shop, err := demo.New(demo.Options{
		Prefix:        cfg.Prefix,
		Snippet:       tag.Snippet(tag.SnippetOptions{Src: cfg.Prefix + "/tag.js", Site: demo.Site, Why: true}),
		EventsCommand: cfg.eventsLine(),
		Secret:        secret,
	})
	if err != nil {
		return nil, fmt.Errorf("open the demo: %w", err)
	}
	return shop, nil
}

// demoOrigins are the origins a listener on this machine is reached at.
func demoOrigins(base string) []string {
	origins := []string{base}
	if _, port, err := net.SplitHostPort(strings.TrimPrefix(base, "http://")); err == nil {
		origins = append(origins, "http://localhost:"+port, "http://127.0.0.1:"+port)
	}
	slices.Sort(origins)
	return slices.Compact(origins)
}
