// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"embed"
	"io/fs"
)

//go:embed site/*.yaml
var siteFiles embed.FS

// SiteFiles are the site files of the demo's site: settings, audiences, ladders
// and all that its slots show but for the page's own content, which stands in the
// pages. Whoever publishes them puts in the origins at which the shop is.
func SiteFiles() fs.FS {
	files, err := fs.Sub(siteFiles, "site")
	if err != nil {
		panic(err) // only a name that is no path fails
	}
	return files
}
