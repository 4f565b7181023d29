// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// sampleChoices are values that the test releases tell apart, by field.
var sampleChoices = map[string][]string{
	"device.type": {`"phone"`, `"desktop"`}, "geo.country": {`"FR"`, `"DE"`}, "geo.city": {`"Paris"`, `"Rome"`},
	"geo.postcode": {`"75001"`, `"10115"`}, "geo.lat": {"48.85", "1"}, "recent": {`["hat-1"]`, `[]`}, "visitor.visits": {"1", "2"},
	"shop.season": {`"winter"`, `"spring"`}, "page.category": {`"hats"`, `"socks"`}, "page.lang": {`"en"`, `"fr"`}, "lang": {`"en"`, `"fr"`},
	"now": {"1795370000000", "1795375800000", "1796000000000", "1801000000000"},
}

// draw draws a value of each field, some of them none, and the purposes.
func draw(random *rand.Rand) (*edge.SampleVisit, map[string]string) {
	values := map[string]string{"visitor.id": fmt.Sprintf(`"visitor-%d"`, random.IntN(50))}
	for name, choices := range sampleChoices {
		if n := random.IntN(len(choices) + 1); n < len(choices) {
			values[name] = choices[n]
		} else if name == "now" {
			values[name] = choices[0] // else it is the time of the call
		}
	}
	return &edge.SampleVisit{Granted: consent.Set(random.IntN(int(consent.All) + 1))}, values
}

// withFields gives a sample the values of those fields that the site has.
func withFields(s *edge.SampleVisit, values map[string]string, own []string) *edge.SampleVisit {
	s.Fields = map[string]json.RawMessage{}
	for name, value := range values {
		if name != "shop.season" || slices.Contains(own, name) {
			s.Fields[name] = json.RawMessage(value)
		}
	}
	return s
}

// Two visits that agree on what a slot depends on get the same answer, however
// else they differ.
func TestVisitsThatAgreeOnTheInputsGetTheSameAnswer(t *testing.T) {
	for _, name := range []string{"codeless", "release", "texts"} {
		document := editRelease(t, name, nil)
		document = []byte(strings.Replace(string(document), `"rollout":1`, `"rollout":5000`, 1))
		loader := codelessLoader(t, document, edgetest.Loader(caseRules()))
		var own []string
		for _, f := range loader.Doc.Fields {
			own = append(own, f.Name)
		}
		release, err := edge.CompileRelease(document, loader)
		if err != nil {
			t.Fatal(err)
		}
		random, answers := rand.New(rand.NewPCG(1, 2)), map[string]bool{}
		for range 600 {
			one, values := draw(random)
			for slot, in := range release.Inputs() {
				two, others := draw(random)
				two.Granted = one.Granted&in.Purposes | two.Granted&^in.Purposes
				agree(others, values, in.Reads)
				a, b := answerTo(t, release, withFields(one, values, own), slot), answerTo(t, release, withFields(two, others, own), slot)
				if a != b {
					t.Fatalf("%s: slot %s of inputs %+v\ngives %s\nand   %s\nto %+v\nand %+v", name, slot, in, a, b, one, two)
				}
				answers[slot+a] = true
			}
		}
		if len(answers) < 2*len(release.Inputs()) {
			t.Errorf("%s: %d answers: the test proves little", name, len(answers))
		}
	}
}

// agree gives visit the values that other has of what is read.
func agree(visit, other map[string]string, reads []string) {
	for _, read := range reads {
		names := []string{read}
		switch {
		case strings.HasPrefix(read, "hash("):
			names = []string{"visitor.id"}
		case read == "page.lang":
			names = []string{"page.lang", "lang"}
		}
		for _, name := range names {
			if value, ok := other[name]; ok {
				visit[name] = value
			} else {
				delete(visit, name)
			}
		}
	}
}

func answerTo(t *testing.T, release *edge.Release, visit *edge.SampleVisit, slot string) string {
	t.Helper()
	got, err := release.Sample(visit, []string{slot})
	if err != nil {
		t.Fatal(err)
	}
	got[0].Why = nil
	out, err := json.Marshal(got[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
