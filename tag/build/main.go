// SPDX-License-Identifier: Apache-2.0

// Command build bundles the browser tag from its TypeScript into tag/dist. It
// runs in the repository's root and needs nothing but Go. With -package it puts
// the npm package together from the bundles.
//
// It never checks types; the TypeScript checker does that on its own. It keeps
// no state and does one thing at a time.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("package", "", "write the npm package to this folder, of the bundles as they are, in place of building them")
	version := flag.String("version", "", "the package's version")
	flag.Parse()
	build := func() error { return run("tag") }
	if *out != "" {
		build = func() error { return pack("tag", *out, *version) }
	}
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run writes every bundle to dir/dist, and the manifest of those that pages load.
func run(dir string) error {
	manifest := manifest{}
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
		if output.isLoaded {
			manifest.add(files[0])
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "dist", "tag.json"), manifest.encode(), 0o644); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return nil
}
