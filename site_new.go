// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/sitefile"
)

// siteFilesCommand writes the files that a new site begins with. It needs no
// node and publishes nothing.
func siteFilesCommand(args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("site files ID DIR --origin URL", io.out, noSettings)
	var origins []string
	addOrigins(fs, &origins, "`URL` of the site's pages, scheme://host[:port]; may be given several times")
	languages := fs.String("languages", "en", "the site's `languages`, comma-separated, the first is the fallback")
	if err := cfg.parse(fs, args, "ID", "DIR"); err != nil {
		return err
	}
	if len(origins) == 0 {
		return usagef("--origin is missing: the site's pages, for example https://shop.example")
	}
	if len(split(*languages)) == 0 {
		return usagef("--languages is empty")
	}
	site, dir := fs.Arg(0), fs.Arg(1)
	if !edge.ValidSite(site) {
		return usagef("site %q is not lower-case words joined by dashes, at most %d characters", site, edge.MaxSiteBytes)
	}
	if base, err := sitefile.ReadBase(dir); err != nil || base != nil {
		return errors.Join(err, fmt.Errorf("%s holds files of a site already", dir))
	}
	doc := firstRelease(site, origins, split(*languages))
	if err := sitefile.Export(dir, &doc, false); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	fmt.Fprintf(io.out, "Site %s is in %s, and nowhere else yet. Change it, then\n\n  nearside check %[3]s\n  nearside apply %[3]s\n\n"+
		"apply takes --data or --url of a node that is not the one on %[4]s.\ndocs/SITE.md tells what may stand in the files.\n", site, dir, shellWord(dir), cfg.Data)
	return nil
}
