// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"slices"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
)

// What another slot's rules read is neither encoded for these nor recorded.
func TestASlotsRulesSeeWhatTheyReadAlone(t *testing.T) {
	for _, slots := range [][]string{{"place"}, {"hero"}, {"place", "hero"}} {
		l := &listener{saw: map[string]string{}}
		document := editRelease(t, "codeless", nil)
		rules := codelessLoader(t, document, edgetest.Loader(caseRules()))
		engine := edge.New(edge.Options{Locator: caseLocator{"FR"}, Sealer: caseSealer(t), Loader: narrowLoader{rules, l}})
		if _, err := engine.Publish(document); err != nil {
			t.Fatal(err)
		}
		decideSlots(t, engine, slots...)
		hero := slices.Contains(slots, "hero")
		if _, sees := l.saw["device.type"]; sees != hero {
			t.Errorf("slots %q: the device is seen: %t", slots, sees)
		}
		if len(l.saw) == 0 && hero {
			t.Errorf("slots %q: nothing is seen: the test proves nothing", slots)
		}
	}
}

// A narrowLoader listens and leaves it to the rules what they read.
type narrowLoader struct {
	edge.RuleLoader
	listener *listener
}

func (l narrowLoader) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	set, err := l.RuleLoader.LoadRules(site, c, bind)
	l.listener.RuleSet = set
	return narrowListener{set, l.listener}, err
}

type narrowListener struct {
	edge.RuleSet
	listener *listener
}

func (l narrowListener) Decide(view *edge.View, slots []int, held []edge.Held) error {
	return l.listener.Decide(view, slots, held)
}
