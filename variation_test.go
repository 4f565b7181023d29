// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// splitSite has one rule that shows red or blue by weight.
const splitSite = `site: shop
settings:
  origins: [https://shop.example]
  languages: [en]
  why: true
slots:
  - name: hero
    kind: text
    ladder:
      context:
        - name: split
          when: device.type != "tv"
          show:
            - variant: red
              weight: 50
            - variant: blue
              weight: 50
variants:
  hero:
    - {name: red, state: live, content: {en: red}}
    - {name: blue, state: live, content: {en: blue}}
`

// Whoever has seen a variant goes on seeing it when the weights change, whoever has not
// goes by the new ones; the record replays, and the explanation says so.
func TestAVariationStaysWhenTheWeightsChange(t *testing.T) {
	n := startNode(t, testConfig())
	n.apply(t, splitSite)
	type decision struct {
		ID, Variant, Reason string
		Why                 struct {
			Tried []struct{ Condition struct{ Words string } }
		}
	}
	type visitor struct {
		state, first string
		isViewed     bool
	}
	events := 0
	ask := func(v *visitor, viewed string) (d decision) {
		t.Helper()
		now, told := time.Now().UnixMilli(), ""
		if viewed != "" {
			events++
			told = fmt.Sprintf(`{"id":"e%d","at":%d,"name":"slot_impression","props":{"decision":%q,"shown":"variant"}}`, events, now, viewed)
		}
		res, text := n.post(t, "/_near/v1/beacon", fmt.Sprintf(`{"v":1,"site":"shop","page":{"url":"https://shop.example/"},"sent":%d,"why":true,`+
			`"consent":{"purposes":255,"owner":{"granted":255,"refused":0}},"state":%q,"events":[%s],"slots":["hero"]}`, now, v.state, told), nil)
		var answer struct {
			State     *string
			Decisions []decision
		}
		if err := json.Unmarshal([]byte(text), &answer); res.StatusCode != 200 || err != nil || len(answer.Decisions) != 1 {
			t.Fatalf("%d %s", res.StatusCode, text)
		}
		if answer.State != nil {
			v.state = *answer.State
		}
		return answer.Decisions[0]
	}
	var visitors []*visitor
	for i := range 24 {
		v := &visitor{isViewed: i%2 == 0}
		d := ask(v, "")
		if v.first = d.Variant; v.isViewed {
			ask(v, d.ID)
		}
		visitors = append(visitors, v)
	}
	n.apply(t, strings.Replace(strings.Replace(splitSite, "weight: 50", "weight: 1", 1), "weight: 50", "weight: 9999", 1), "--over", "1")
	waitFor(t, "the new weights", func() bool { // which nobody sees red by
		for range 12 {
			if ask(&visitor{}, "").Variant == "red" {
				return false
			}
		}
		return true
	})
	kept := 0
	for i, v := range visitors {
		d := ask(v, "")
		want := "blue"
		if v.isViewed {
			want = v.first
		}
		if d.Variant != want || d.Reason != "rule" {
			t.Errorf("visitor %d, who viewed %v of %s, sees %s (%s)", i, v.isViewed, v.first, d.Variant, d.Reason)
		}
		words := d.Why.Tried[0].Condition.Words
		if isKept := v.isViewed && v.first == "red"; strings.Contains(words, "shown red before, which stays") != isKept {
			t.Errorf("visitor %d, who viewed %v of %s, is told: %s", i, v.isViewed, v.first, words)
		} else if isKept {
			kept++
			if says := n.replay(t, d.ID); !strings.Contains(says, "the same again") {
				t.Errorf("replayed: %s", says)
			}
		}
	}
	if kept == 0 {
		t.Error("of twelve nobody had seen red: this shows nothing")
	}
}
