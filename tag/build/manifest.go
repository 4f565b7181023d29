// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// A manifest says by file name what pages need to know of a bundle to load that
// and no other. Package tag serves each under the path that stands here.
type manifest map[string]manifestEntry

type manifestEntry struct {
	// Path is a name that changes with the bytes.
	Path string `json:"path"`
	// Map is the path of its source map.
	Map string `json:"map"`
	// Integrity is for a script element's attribute of that name.
	Integrity string `json:"integrity"`
	Bytes     int    `json:"bytes"`
}

func (m manifest) add(f file) {
	sum := sha512.Sum384(f.data)
	path := strings.TrimSuffix(f.name, "js") + hex.EncodeToString(sum[:6]) + ".js"
	m[f.name] = manifestEntry{
		Path:      path,
		Map:       path + ".map",
		Integrity: "sha384-" + base64.StdEncoding.EncodeToString(sum[:]),
		Bytes:     len(f.data),
	}
}

// encode returns the manifest as JSON, in the order of the names.
func (m manifest) encode() []byte {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(text, '\n')
}
