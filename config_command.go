// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
)

const configUsage = `nearside config checks and prints the settings of nearside serve.

  nearside config check [settings]     whether a node would take them: --config FILE,
                                       the environment and the files they name
  nearside config print [settings]     each setting with its value and where that
                                       comes from, as a file for --config

`

// configCommand checks and prints settings, and changes nothing.
func configCommand(_ context.Context, args []string, io stdio) error {
	if len(args) == 0 || isHelp(args[0]) {
		fmt.Fprint(io.out, configUsage)
		return nil
	}
	word := args[0]
	if word != "check" && word != "print" {
		return usagef("there is no config %s; nearside config lists what there is", word)
	}
	cfg := defaults()
	fs := cfg.flags("config "+word+" [settings]", io.out)
	if err := cfg.parse(fs, args[1:]); err != nil {
		return err
	}
	if _, err := cfg.readFiles(); err != nil {
		return err
	}
	io.warnOfStrays()
	if word == "check" {
		fmt.Fprintln(io.out, "the settings are good")
		return nil
	}
	fmt.Fprint(io.out, cfg.print(fs))
	return nil
}

// secretEndings are how names of settings end whose values nobody may see.
var secretEndings = []string{"secret", "token", "password"}

// print writes every setting as a line of a configuration file, with where its
// value comes from.
func (c *Config) print(fs *flag.FlagSet) string {
	var out strings.Builder
	fs.VisitAll(func(f *flag.Flag) {
		value, by := f.DefValue, fromDefault
		if s, ok := c.said[f.Name]; ok {
			value, by = s.value, s.by
		}
		if slices.ContainsFunc(secretEndings, func(end string) bool { return strings.HasSuffix(f.Name, end) }) && value != "" {
			value = "(hidden)"
		}
		quoted, err := json.Marshal(value) // a JSON text is a YAML text
		if err != nil {
			quoted = []byte(`""`)
		}
		comment := by
		if !liveSettings[f.Name] {
			comment += "; read at the start"
		}
		line := fmt.Sprintf("%s: %s", f.Name, quoted)
		if slices.Contains(fileless, f.Name) {
			line = "# " + line
		}
		fmt.Fprintf(&out, "%-46s # %s\n", line, comment)
	})
	return out.String()
}
