// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/tdewolff/minify/v2/js"
)

// An output is a bundle of the tag.
type output struct {
	name  string // of the file in dist
	entry string // of the file in src
	// drop are the labels of the statements that it leaves out: WHY explains the
	// tag to developers on the console, FULL is what the core does without,
	// DEBUG loads the debug view.
	drop []string
	// isLoaded says that pages name it themselves, so that it is in the manifest.
	isLoaded bool
	// isMeasure leaves out slots and consent platforms.
	isMeasure bool
	// isPlain leaves out the second minifier, which makes it a little smaller.
	isPlain bool
}

// outputs are the bundles, all from one source.
var outputs = []output{
	{name: "tag.js", entry: "index.ts", drop: []string{"WHY", "FULL", "DEBUG"}, isLoaded: true},
	{name: "tag.full.js", entry: "index.ts", drop: []string{"WHY"}, isLoaded: true},
	{name: "tag.measure.js", entry: "index.ts", drop: []string{"WHY", "FULL", "DEBUG"}, isLoaded: true, isMeasure: true},
	{name: "tag.dev.js", entry: "index.ts", drop: []string{"FULL"}, isPlain: true},
	{name: "tag.debug.js", entry: "debug.ts", drop: []string{"WHY"}},
}

// A file is one that a build writes.
type file struct {
	name string // in dist
	data []byte
}

// bundle returns a bundle and its source map, built from the TypeScript under dir,
// which is the tag's folder. The same sources always give the same bytes.
func bundle(dir string, o output) ([]file, error) {
	has := strconv.FormatBool(!o.isMeasure)
	options := api.BuildOptions{
		EntryPoints: []string{filepath.Join(dir, "src", o.entry)},
		Outfile:     filepath.Join(dir, "dist", o.name),
		DropLabels:  o.drop,
		Define:      map[string]string{"HAS_SLOTS": has, "HAS_PLATFORMS": has},
		// Other formats leave top-level names in the page, where a minified one
		// would overwrite the page's own.
		Format:  api.FormatIIFE,
		Plugins: []api.Plugin{pureModules},
		// The server's answer names the map: a comment would take room in the script.
		Sourcemap: api.SourceMapExternal,
	}
	files, err := compile(options)
	if err != nil || o.isPlain {
		return files, err
	}
	minified, err := minify(files[0].data)
	if err != nil {
		return nil, err
	}
	mapped, err := remap(minified, files[0].data, files[1].data)
	if err != nil {
		return nil, err
	}
	files[0].data, files[1].data = minified, append(mapped, '\n')
	return files, nil
}

// pureModules lets the bundler leave out a module of which nothing is used:
// what one does as it is loaded concerns itself alone.
var pureModules = api.Plugin{Name: "pure modules", Setup: func(b api.PluginBuild) {
	b.OnResolve(api.OnResolveOptions{Filter: `^\./`}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
		if args.Kind == api.ResolveEntryPoint {
			return api.OnResolveResult{}, nil
		}
		path, err := filepath.Abs(filepath.Join(args.ResolveDir, args.Path+".ts"))
		return api.OnResolveResult{Path: path, SideEffects: api.SideEffectsFalse}, err
	})
}}

// compile builds one entry point with the options that every build of the
// TypeScript has.
func compile(options api.BuildOptions) ([]file, error) {
	options.Bundle = true
	options.Target = api.ES2021
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
	result := api.Build(options)
	if len(result.Errors) > 0 {
		message := result.Errors[0]
		if at := message.Location; at != nil {
			return nil, fmt.Errorf("bundle the tag: %s:%d: %s", at.File, at.Line, message.Text)
		}
		return nil, errors.New("bundle the tag: " + message.Text)
	}
	var files []file
	for _, out := range result.OutputFiles {
		files = append(files, file{filepath.Base(out.Path), out.Contents})
	}
	// The map comes after what it is of.
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return files, nil
}

// minify shortens what the bundler had to keep apart while the files were still
// modules, and names variables scope by scope, which compresses better than the
// bundler's names.
func minify(bundled []byte) ([]byte, error) {
	var out bytes.Buffer
	minifier := js.Minifier{Version: 2021}
	if err := minifier.Minify(nil, &out, bytes.NewReader(bundled), nil); err != nil {
		return nil, fmt.Errorf("minify the tag: %w", err)
	}
	// It would move such a declaration before those that it reads.
	if bytes.Contains(out.Bytes(), []byte("var{")) || bytes.Contains(out.Bytes(), []byte("var[")) {
		return nil, errors.New("minify the tag: a file takes a value apart at its top level")
	}
	return out.Bytes(), nil
}
