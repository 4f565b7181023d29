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

// DevScript is the core, and on a page on localhost it says on the console, once
// and in plain words, why nothing was asked or shown.
//
//go:embed dist/tag.dev.js
var DevScript []byte

// Integrity returns the value of a script element's integrity attribute for a
// script (https://www.w3.org/TR/SRI/): "sha384-" and the digest in base64.
func Integrity(script []byte) string {
	sum := sha512.Sum384(script)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}
