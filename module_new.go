// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/nearside/nearside/wasm-rules/sdk"
)

// newCommand writes the project that a module's author begins with.
func newCommand(_ context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("module new DIR --language LANGUAGE", io.out, noSettings)
	language := fs.String("language", "", "the `language`: "+strings.Join(sdk.Languages(), ", "))
	if err := cfg.parse(fs, args, "DIR"); err != nil {
		return err
	}
	if *language == "" {
		return usagef("--language is missing: one of %s", strings.Join(sdk.Languages(), ", "))
	}
	template, err := sdk.Template(*language)
	if err != nil {
		return usagef("--language: %v", err)
	}
	dir := fs.Arg(0)
	// A folder that is there holds somebody's work.
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.CopyFS(dir, template); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%s is a rule module in %s. Build it with\n\n  sh %[1]s/build.sh\n\n%[1]s/README.md goes on from there.\n", dir, *language)
	return nil
}
