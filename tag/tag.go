// SPDX-License-Identifier: Apache-2.0

// Package tag holds the browser tag: the built scripts and the snippet that puts
// one of them on a page.
//
// The scripts are written in TypeScript under src, bundled into dist by the build
// command and embedded from there, so a Go build needs nothing else. The package
// serves nothing, reads no request and keeps no state; all of it may be used by
// any number of goroutines at once. Nobody may change the embedded bytes.
package tag

import (
	"crypto/sha512"
	_ "embed" // the built scripts
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Script is the core, the tag as most visitors load it: slots, events and
// consent. Like every script here it is minified JavaScript in UTF-8.
//
//go:embed dist/tag.js
var Script []byte

// FullScript is the core and everything else that the tag can do.
//
//go:embed dist/tag.full.js
var FullScript []byte

// MeasureScript only measures: it has no slots and reads no consent platform.
//
//go:embed dist/tag.measure.js
var MeasureScript []byte

// DevScript is the core, and on a page on localhost it says on the console, once
// and in plain words, why nothing was asked or shown.
//
//go:embed dist/tag.dev.js
var DevScript []byte

//go:embed dist/tag.debug.js
var debugScript []byte

// The source maps, with the sources in them.
var (
	//go:embed dist/tag.js.map
	scriptMap []byte
	//go:embed dist/tag.full.js.map
	fullMap []byte
	//go:embed dist/tag.measure.js.map
	measureMap []byte
	//go:embed dist/tag.dev.js.map
	devMap []byte
	//go:embed dist/tag.debug.js.map
	debugMap []byte
)

//go:embed dist/tag.json
var manifest []byte

// A File is one that browsers or site developers can load.
type File struct {
	Name string // a plain file name, as in "tag.full.js"
	Body []byte
	// Immutable says that the name is of these bytes alone, and may be kept for
	// ever.
	Immutable bool
	// SourceMap is the name of the file that maps this one to its sources, for the
	// answer's header of that name; empty without one.
	SourceMap string
}

// Files returns all there is to be served side by side, the manifest among it:
// tag.json, a JSON object that holds for each script that pages load its name
// that never changes and its hash for a script element's integrity attribute. No
// script names its map, which would take room in it: the answer's header does.
func Files() []File {
	files := []File{
		{Name: "tag.json", Body: manifest},
		{Name: "tag.debug.js", Body: debugScript, SourceMap: "tag.debug.js.map"},
		{Name: "tag.debug.js.map", Body: debugMap},
		{Name: DevScriptMap, Body: devMap},
	}
	for _, s := range []struct {
		name         string
		script, maps []byte
	}{
		{"tag.js", Script, scriptMap}, {"tag.full.js", FullScript, fullMap}, {"tag.measure.js", MeasureScript, measureMap},
	} {
		versioned := Versioned(s.name, s.script)
		files = append(files,
			File{Name: s.name, Body: s.script, SourceMap: versioned + ".map"},
			File{Name: versioned, Body: s.script, SourceMap: versioned + ".map", Immutable: true},
			File{Name: s.name + ".map", Body: s.maps},
			File{Name: versioned + ".map", Body: s.maps, Immutable: true},
		)
	}
	return files
}

// DevScriptMap is the name of the file that maps DevScript to its sources.
const DevScriptMap = "tag.dev.js.map"

// ScriptMap returns the name of the file that maps Script to its sources.
func ScriptMap() string { return Versioned("tag.js", Script) + ".map" }

// Versioned returns the name of a script that changes with its bytes:
// "tag.0123456789ab.js" for "tag.js".
func Versioned(name string, script []byte) string {
	sum := sha512.Sum384(script)
	return strings.TrimSuffix(name, "js") + hex.EncodeToString(sum[:6]) + ".js"
}

// Integrity returns the value of a script element's integrity attribute for a
// script (https://www.w3.org/TR/SRI/): "sha384-" and the digest in base64.
func Integrity(script []byte) string {
	sum := sha512.Sum384(script)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}
