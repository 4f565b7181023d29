// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// pack writes the npm package to out, a folder that it makes: what stands in
// dir/package, the bundles of dir/dist under dist, the hashes of those that pages
// load, and the licence. version is the package's, in the form of
// https://semver.org; empty leaves the one that package.json has.
func pack(dir, out, version string) error {
	if err := copyFiles(filepath.Join(dir, "package"), out); err != nil {
		return fmt.Errorf("pack the tag: %w", err)
	}
	if err := copyFiles(filepath.Join(dir, "dist"), filepath.Join(out, "dist")); err != nil {
		return fmt.Errorf("pack the tag: %w", err)
	}
	licence, err := os.ReadFile(filepath.Join(dir, "..", "LICENSE"))
	if err != nil {
		return fmt.Errorf("pack the tag: %w", err)
	}
	if err := os.WriteFile(filepath.Join(out, "LICENSE"), licence, 0o644); err != nil {
		return fmt.Errorf("pack the tag: %w", err)
	}
	if version == "" {
		return nil
	}
	return setVersion(filepath.Join(out, "package.json"), version)
}

// copyFiles copies the files of one folder, which has no other folder in it.
func copyFiles(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	files, err := fs.Glob(os.DirFS(from), "*")
	if err != nil {
		return err
	}
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// setVersion puts a version into a package.json, and leaves the rest as it is.
func setVersion(path, version string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("set the package's version: %w", err)
	}
	var was struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(data, &was); err != nil {
		return fmt.Errorf("set the package's version: %w", err)
	}
	quoted, err := json.Marshal(version)
	if err != nil {
		return fmt.Errorf("set the package's version: %w", err)
	}
	text := strings.Replace(string(data), `"version": "`+was.Version+`"`, `"version": `+string(quoted), 1)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("set the package's version: %w", err)
	}
	return nil
}
