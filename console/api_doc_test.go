// SPDX-License-Identifier: Apache-2.0

package console

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/API.md")

// docs/API.md holds the table of routes, between two marks.
func TestTheDocumentListsEveryRoute(t *testing.T) {
	const file, begin, end = "../docs/API.md", "<!-- routes -->\n", "<!-- /routes -->\n"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	have, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the routes", file)
	}
	want := "| route | who | does |\n| --- | --- | --- |\n"
	for _, r := range openBench(t, nil).table() {
		want += fmt.Sprintf("| `%s %s` | %s | %s |\n", r.method, r.path, who(&r), r.does)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Errorf("%s is not what the table of routes says: go test ./console -update", file)
	}
}

// who says whom a route's row admits.
func who(r *route) string {
	if r.role == none {
		return "anybody"
	}
	return r.role.String() + map[scope]string{
		anywhere: " somewhere", atSite: " of the site", atQuery: " of the site, or of every site", everywhere: " of every site",
	}[r.scope]
}
