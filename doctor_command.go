// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nearside/nearside/doctor"
	"github.com/nearside/nearside/tag"
)

const (
	noBrowser       = "none"
	doctorTimeout   = 20 * time.Second
	doctorHelpAfter = `
Opening the page is like a visit of a bot: a headless browser says that it is one,
so the node answers it with the page's own content and counts nothing. --as-visitor
shows what visitors get, and is counted as one. Beside what the page sends, the doctor sends a beacon without events that grants nothing.
The findings and the JSON are in docs/DOCTOR.md. It exits with 1 if one is an error.
`
)

// doctorCommand looks at a page as its developer would.
func doctorCommand(ctx context.Context, args []string, std stdio) error {
	cfg := defaults()
	fs := cfg.flags("doctor URL [settings]", std.out, noSettings)
	asJSON := fs.Bool("json", false, "print the findings as JSON")
	browser := fs.String("browser", "", "the `path` of a Chromium that opens the page, or "+noBrowser+" to read its HTML alone (default the one in the PATH, if there is one)")
	asVisitor := fs.Bool("as-visitor", false, "the browser does not say that it is headless: the node answers and counts it like a visitor")
	timeout := doctorTimeout
	fs.Var((*span)(&timeout), "timeout", fmt.Sprintf("how long opening the page may take, a `duration` of %v to %v", doctor.MinTimeout, doctor.MaxTimeout))
	fs.Usage = func() {
		help(std.out, fs)
		fmt.Fprint(std.out, doctorHelpAfter)
	}
	if err := cfg.parse(fs, args, "URL"); err != nil {
		return err
	}
	if timeout < doctor.MinTimeout || timeout > doctor.MaxTimeout {
		return usagef("--timeout: want %v to %v", doctor.MinTimeout, doctor.MaxTimeout)
	}
	page, err := doctor.ParseURL(fs.Arg(0))
	if err != nil {
		return usagef("URL: %v", err)
	}
	switch *browser {
	case "":
		*browser = doctor.FindBrowser()
	case noBrowser:
		*browser = ""
	default:
		if _, err := os.Stat(*browser); err != nil {
			return usagef("--browser: there is no file %s", *browser)
		}
	}
	report, err := doctor.Examine(ctx, doctor.Options{URL: page, Browser: *browser, AsVisitor: *asVisitor, Timeout: timeout, Builds: []doctor.Build{
		{Name: "the tag of this version, as visitors load it", Script: tag.Script},
		{Name: "the tag of this version, as developers load it: it explains itself on the console", Script: tag.DevScript},
	}})
	if err != nil {
		return err
	}
	if *asJSON {
		err = printJSON(std, report)
	} else {
		err = report.Print(std.out, isTerminal(std.out))
	}
	if n := report.Count(doctor.Error); err == nil && n > 0 {
		err = fmt.Errorf("%s to correct", counted(n, "error"))
	}
	return err
}

// isTerminal reports whether colours can be seen, and are not unwanted
// (https://no-color.org).
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	if value, set := lookupEnv("NO_COLOR"); set && value != "" {
		return false
	}
	term, _ := lookupEnv("TERM")
	state, err := file.Stat()
	return err == nil && state.Mode()&os.ModeCharDevice != 0 && strings.TrimSpace(term) != "dumb"
}
