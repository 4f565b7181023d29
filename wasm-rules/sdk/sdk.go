// SPDX-License-Identifier: Apache-2.0

// Package sdk holds the guest SDKs, each as the project that a module's author
// begins with.
//
// A folder beside this file is one language: the SDK itself, an example rule,
// its manifest and its cases, build.sh, and README.md, the way from here to a
// page. A copy of the folder needs nothing else of the repository.
//
// The package keeps no state and is safe for concurrent use.
package sdk

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed assemblyscript/README.md assemblyscript/build.sh assemblyscript/cases.jsonl assemblyscript/manifest.json
//go:embed assemblyscript/near.ts assemblyscript/fields.ts assemblyscript/rule.ts assemblyscript/package.json
//go:embed c/README.md c/build.sh c/cases.jsonl c/manifest.json c/near.h c/near_fields.h c/rule.c
//go:embed go/README.md go/build.sh go/cases.jsonl go/manifest.json go/near.go go/near_fields.go go/rule.go
//go:embed rust/README.md rust/build.sh rust/cases.jsonl rust/manifest.json rust/near.rs rust/near_fields.rs rust/rule.rs
var files embed.FS

// Languages returns the languages that Template knows, in order.
func Languages() []string { return []string{"assemblyscript", "c", "go", "rust"} }

// Template returns a language's folder. `sh build.sh` in a copy of it builds
// rule.wasm, the manifest inside.
func Template(language string) (fs.FS, error) {
	if !slices.Contains(Languages(), language) {
		return nil, fmt.Errorf("no SDK for %.32q, only for %s", language, strings.Join(Languages(), ", "))
	}
	return fs.Sub(files, language)
}
