// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// checkTag looks at the script element and at its file.
func (x *examination) checkTag() {
	if x.tag == nil {
		x.find("tag-missing", fmt.Sprintf("none of the page's %s is the tag", counted(len(x.page.doc.Scripts), "script")))
		return
	}
	if copies := x.page.candidates(); len(copies) > 1 {
		var sources []string
		for _, s := range copies {
			sources = append(sources, s.Attrs["src"])
		}
		x.find("tag-twice", fmt.Sprintf("%d script elements are the tag: %s", len(copies), strings.Join(sources, ", ")))
	}
	if x.src == nil {
		x.find("tag-without-src", fmt.Sprintf("the tag's src is %q", x.tag.Attrs["src"]))
		return
	}
	x.checkElement()
	x.checkAttributes()
	x.checkFile()
	x.checkIntegrity()
	x.checkStub()
	if x.page.inBrowser {
		x.checkRun()
	}
}

// scriptTypes are the types of classic scripts that pages use.
var scriptTypes = []string{"", "text/javascript", "application/javascript", "application/x-javascript", "text/ecmascript", "application/ecmascript"}

// checkElement looks at how the script is loaded.
func (x *examination) checkElement() {
	kind := strings.ToLower(strings.TrimSpace(x.tag.Attrs["type"]))
	switch {
	case !slices.Contains(scriptTypes, kind):
		x.find("tag-type", fmt.Sprintf("the script element has type=%q", kind))
	case !x.tag.Async:
		x.find("tag-not-async", "the script element has no async: the page waits for the file")
	default:
		x.find("tag-found", fmt.Sprintf("the page loads %s and goes on meanwhile", x.src))
	}
}

// checkAttributes looks at the site and at data- attributes that do nothing.
func (x *examination) checkAttributes() {
	site, ok := x.tag.Attrs["data-site"]
	switch {
	case !ok || site == "":
		x.find("site-missing", "the script element has no data-site")
	case !edge.ValidSite(site):
		x.find("site-invalid", fmt.Sprintf("data-site=%q is no site's id", site))
	}
	if word := x.tag.Attrs["data-policy"]; word != "" {
		if _, known := consent.ParsePagePolicy([]byte(word)); !known {
			x.find("policy-unknown", fmt.Sprintf("data-policy=%q is no policy, so it is the strict one", word))
		}
	}
	if wait, ok := x.tag.Attrs["data-wait"]; ok && !isMillis.MatchString(wait) {
		x.find("wait-invalid", fmt.Sprintf("data-wait=%q is no number of milliseconds", wait))
	}
	for _, name := range slices.Sorted(maps.Keys(x.tag.Attrs)) {
		if near := x.tag.isMisspelt(name); near != "" {
			x.find("attribute-misspelt", fmt.Sprintf("the attribute %s does nothing", name), "name", name, "near", near)
		}
	}
}

var isMillis = regexp.MustCompile(`^\d{1,6}$`)

// checkFile looks at what the script's address gives out.
func (x *examination) checkFile() {
	f := &x.file
	switch {
	case f.problem != "":
		x.find("tag-unreachable", fmt.Sprintf("%s: %s", x.src, f.problem))
		return
	case f.status != http.StatusOK:
		x.find("tag-status", fmt.Sprintf("%s answers %s", x.src, f.says()))
		return
	}
	kind, _, _ := mime.ParseMediaType(f.header.Get("Content-Type"))
	switch {
	case !strings.HasSuffix(kind, "javascript") && !strings.HasSuffix(kind, "ecmascript"):
		x.find("tag-file-type", fmt.Sprintf("%s is of type %q and not a script", x.src, kind))
	case f.build != "":
		x.find("tag-build", "the file is "+f.build)
	case !bytes.Contains(f.body, []byte("near-slot")):
		x.find("tag-other-file", fmt.Sprintf("the file of %d bytes at %s is not the tag", len(f.body), x.src))
	default:
		x.find("tag-other-build", fmt.Sprintf("the file of %d bytes is a tag of another version", len(f.body)))
	}
}

// checkIntegrity compares the file with the hash that the page demands.
func (x *examination) checkIntegrity() {
	integrity, ok := x.tag.Attrs["integrity"]
	if !ok || strings.TrimSpace(integrity) == "" || x.file.status != http.StatusOK || x.file.problem != "" || x.file.tooLong {
		return
	}
	_, cors := x.tag.Attrs["crossorigin"]
	switch {
	case originOf(x.src) != x.page.origin() && !cors:
		x.find("integrity-without-cors", "the script has integrity, comes from another origin and has no crossorigin")
	case !integrityHolds(integrity, x.file.body):
		x.find("integrity-mismatch", fmt.Sprintf("the file's hash is sha384-%s and not %s", digest("sha384", x.file.body), line(integrity)))
	default:
		x.find("integrity-holds", "the file has the hash that the page demands")
	}
}

var (
	isStub = regexp.MustCompile(`near\.q\b|window\.near\s*=`)
	isCall = regexp.MustCompile(`(^|[^\w.$])near\s*\(\s*['"]`)
)

// checkStub looks for the queue that takes calls before the tag has come.
func (x *examination) checkStub() {
	called := ""
	for i := range x.page.doc.Scripts {
		s := &x.page.doc.Scripts[i]
		if s.Attrs["src"] != "" {
			continue
		}
		if isStub.MatchString(s.Text) {
			if called != "" {
				x.find("stub-late", "near(…) is called before the script that makes the queue: "+called)
				return
			}
			x.find("stub-found", "calls of near(…) wait in a queue until the tag has come")
			return
		}
		if at := isCall.FindStringIndex(s.Text); at != nil && called == "" {
			called = line(clip(s.Text[at[0]:], 60))
		}
	}
	if called != "" {
		x.find("stub-missing", "near(…) is called, and nothing queues the call until the tag has come: "+called)
	} else {
		x.find("stub-absent", "nothing queues calls of near(…) until the tag has come, and no inline script calls it")
	}
}

// checkRun says whether the tag runs in the browser, and why not where the browser
// said so.
func (x *examination) checkRun() {
	if x.page.doc.HasTag {
		x.find("tag-runs", "the tag runs")
		return
	}
	for _, r := range x.page.requests {
		if r.url == x.src.String() && r.failure != "" {
			x.find("tag-does-not-run", fmt.Sprintf("the browser did not load the file: %s", r.failed()))
			return
		}
	}
	x.find("tag-does-not-run", "the tag did not start in the browser")
}
