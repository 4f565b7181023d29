// SPDX-License-Identifier: Apache-2.0

// Command build bundles the browser tag from its TypeScript into tag/dist. It
// runs in the repository's root and needs nothing but Go.
//
// It never checks types; the TypeScript checker does that on its own. It keeps
// no state and does one thing at a time.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run("tag"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run writes every bundle to dir/dist.
func run(dir string) error {
	for _, output := range outputs {
		files, err := bundle(dir, output)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(dir, "dist", f.name), f.data, 0o644); err != nil {
				return fmt.Errorf("write the bundle: %w", err)
			}
		}
	}
	return nil
}
