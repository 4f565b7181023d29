// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/tdewolff/minify/v2/js"
)

// outputs are the bundles of the tag: the file's name in dist, and the labels
// of the statements that it leaves out. Only the one for developers explains
// itself on the console, so that visitors do not load the explanations.
var outputs = []struct {
	name string
	drop []string
}{
	{"tag.js", []string{"WHY", "FULL"}},
	{"tag.full.js", []string{"WHY"}},
	{"tag.dev.js", []string{"FULL"}},
}

// bundle returns the minified tag, built from the TypeScript under dir, which is
// the tag's folder, without the statements that have one of the labels in drop.
// The same sources always give the same bytes.
func bundle(dir string, drop []string) ([]byte, error) {
	return compile(api.BuildOptions{
		EntryPoints: []string{filepath.Join(dir, "src", "index.ts")},
		DropLabels:  drop,
		// Other formats leave top-level names in the page, where a minified one
		// would overwrite the page's own.
		Format: api.FormatIIFE,
	})
}

// compile builds one entry point with the options that every build of the
// TypeScript has.
func compile(options api.BuildOptions) ([]byte, error) {
	options.Bundle = true
	options.Target = api.ES2020
	options.Platform = api.PlatformBrowser
	options.Charset = api.CharsetUTF8
	options.LegalComments = api.LegalCommentsNone
	options.MinifyIdentifiers = true
	options.MinifySyntax = true
	options.MinifyWhitespace = true
	// A leading underscore marks a property that never leaves the tag.
	options.MangleProps = "^_[a-z]"
	// Nothing here depends on strict mode, and its directive takes room.
	options.TsconfigRaw = `{"compilerOptions":{"alwaysStrict":false}}`
	options.Outfile = "tag.js"
	result := api.Build(options)
	if len(result.Errors) > 0 {
		message := result.Errors[0]
		if at := message.Location; at != nil {
			return nil, fmt.Errorf("bundle the tag: %s:%d: %s", at.File, at.Line, message.Text)
		}
		return nil, errors.New("bundle the tag: " + message.Text)
	}
	return minify(result.OutputFiles[0].Contents)
}

// minify shortens what the bundler had to keep apart while the files were still
// modules, and names variables scope by scope, which compresses better than the
// bundler's names.
func minify(bundled []byte) ([]byte, error) {
	var out bytes.Buffer
	minifier := js.Minifier{Version: 2020}
	if err := minifier.Minify(nil, &out, bytes.NewReader(bundled), nil); err != nil {
		return nil, fmt.Errorf("minify the tag: %w", err)
	}
	// It would move such a declaration before those that it reads.
	if bytes.Contains(out.Bytes(), []byte("var{")) || bytes.Contains(out.Bytes(), []byte("var[")) {
		return nil, errors.New("minify the tag: a file takes a value apart at its top level")
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
