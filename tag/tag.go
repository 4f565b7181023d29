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

//go:embed dist/tag.full.js.map
var fullMap []byte

//go:embed dist/tag.dev.js.map
var devMap []byte

//go:embed dist/tag.json
var manifest []byte

// A File is one that browsers or site developers can load.
type File struct {
	Name string // a plain file name, as in "tag.full.js"
	Body []byte
	// Immutable says that the name is of these bytes alone, and may be kept for
	// ever.
	Immutable bool
}

// Files returns all there is to be served side by side, the manifest among it:
// tag.json, a JSON object that holds for each script that pages load its name
// that never changes and its hash for a script element's integrity attribute.
func Files() []File {
	files := []File{
		{Name: "tag.debug.js", Body: debugScript},
		{Name: "tag.full.js.map", Body: fullMap},
		{Name: "tag.dev.js.map", Body: devMap},
		{Name: "tag.json", Body: manifest},
	}
	for _, f := range []File{
		{Name: "tag.js", Body: Script}, {Name: "tag.full.js", Body: FullScript}, {Name: "tag.measure.js", Body: MeasureScript},
	} {
		files = append(files, f, File{Name: Versioned(f.Name, f.Body), Body: f.Body, Immutable: true})
	}
	return files
}

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
