// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/DOCTOR.md")

const doctorPage = "../docs/DOCTOR.md"

// TestDoctorPage holds the page's tables of findings to the program's; -update
// writes them.
func TestDoctorPage(t *testing.T) {
	b, err := os.ReadFile(doctorPage)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- findings: go test ./doctor -run TestDoctorPage -update -->\n", "<!-- end of findings -->"
	before, rest, ok := strings.Cut(string(b), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for findings", doctorPage)
	}
	tables := findingTables()
	if old == tables {
		return
	}
	if !*update {
		t.Fatalf("the findings in %s are not the program's; go test ./doctor -run TestDoctorPage -update writes them:\n%s", doctorPage, tables)
	}
	if err := os.WriteFile(doctorPage, []byte(before+begin+tables+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// findingTables has a table for each group.
func findingTables() string {
	cell := strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`, "_", `\_`)
	var out strings.Builder
	for _, group := range groups {
		fmt.Fprintf(&out, "\n### %s\n\n| code | level | means | next step |\n| --- | --- | --- | --- |\n", titles[group])
		for _, k := range Kinds() {
			if k.Group == group {
				fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", k.Code, k.Level, cell.Replace(k.Means), cell.Replace(k.Next))
			}
		}
	}
	return out.String() + "\n"
}

// The report's JSON is documented member by member.
func TestDoctorPageNamesEveryMember(t *testing.T) {
	b, err := os.ReadFile(doctorPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []reflect.Type{reflect.TypeFor[Report](), reflect.TypeFor[Finding](), reflect.TypeFor[ConsentReport](), reflect.TypeFor[SlotReport](), reflect.TypeFor[RequestReport]()} {
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(string(b), "`"+name+"`") {
				t.Errorf("%s says nothing of %s's %s", doctorPage, kind.Name(), name)
			}
		}
	}
}

var (
	code  = regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	place = regexp.MustCompile(`\{([a-z]+)\}`)
)

// Every finding has what a reader needs, and is made somewhere.
func TestKinds(t *testing.T) {
	var sources strings.Builder
	for _, name := range []string{"doctor.go", "check_page.go", "check_tag.go", "check_csp.go", "check_origin.go", "check_consent.go", "check_slots.go", "check_requests.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(b)
	}
	places := []string{"url", "origin", "src", "base", "site", "slot", "name", "near", "directive", "authority", "height", "selector"}
	seen := map[string]bool{}
	for _, k := range Kinds() {
		switch {
		case !code.MatchString(k.Code), seen[k.Code]:
			t.Errorf("%q is no code of its own", k.Code)
		case !slices.Contains(groups, k.Group):
			t.Errorf("%s is in no group", k.Code)
		case k.Means == "" || !strings.HasSuffix(k.Means, "."):
			t.Errorf("%s means %q", k.Code, k.Means)
		case (k.Next == "") != (k.Level == OK):
			t.Errorf("%s is %s and has the next step %q", k.Code, k.Level, k.Next)
		case !strings.Contains(sources.String(), `"`+k.Code+`"`):
			t.Errorf("%s is never found", k.Code)
		}
		seen[k.Code] = true
		for _, m := range place.FindAllStringSubmatch(k.Next, -1) {
			if !slices.Contains(places, m[1]) {
				t.Errorf("%s has the unknown place %s", k.Code, m[0])
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?:find|add)\("([^"]+)"`).FindAllStringSubmatch(sources.String(), -1) {
		if code.MatchString(m[1]) && !seen[m[1]] {
			t.Errorf("%s is found and in no table", m[1])
		}
	}
}

// A next step that names a section of another page names one that is there.
func TestNextStepsNameSections(t *testing.T) {
	section := regexp.MustCompile(`docs/([A-Z]+\.md), “([^”]+)”`)
	named := 0
	for _, k := range Kinds() {
		for _, m := range section.FindAllStringSubmatch(k.Next, -1) {
			named++
			b, err := os.ReadFile("../docs/" + m[1])
			if err != nil || !strings.Contains(string(b), "\n## "+m[2]+"\n") {
				t.Errorf("%s: %s has no section %q (%v)", k.Code, m[1], m[2], err)
			}
		}
	}
	if named < 5 {
		t.Errorf("only %d sections are named", named)
	}
}
