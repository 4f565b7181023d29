// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// hostilePatience is for a busy machine. Without bounds each of these documents
// takes hours.
const hostilePatience = 20 * time.Second

// hostileDocument is a release with rules in slots, each with the condition that
// when writes.
func hostileDocument(slots, rules int, when func(rule int) string) *edge.ReleaseDocument {
	doc := &edge.ReleaseDocument{Site: "shop"}
	for s := range slots {
		rung := edge.RungSpec{Rung: "rule"}
		for r := range rules {
			rung.Rules = append(rung.Rules, edge.RuleSpec{
				Name: fmt.Sprint("r-", r), When: when(s*rules + r), Show: []edge.ShowSpec{{Variant: "v"}},
			})
		}
		doc.Slots = append(doc.Slots, edge.SlotSpec{Name: fmt.Sprint("s-", s), Ladder: []edge.RungSpec{rung}})
	}
	return doc
}

// multiplying is as long a chain of audiences as there can be, of which each names
// the one before again and again.
func multiplying(format string) []edge.Audience {
	audiences := []edge.Audience{{Name: "a0", When: `geo.country == "FR"`}}
	for i := 1; i < maxAudienceDepth; i++ {
		before := fmt.Sprintf(`inAudience("a%d")`, i-1)
		audiences = append(audiences, edge.Audience{Name: fmt.Sprint("a", i), When: fmt.Sprintf(format, before, i)})
	}
	return audiences
}

const (
	choosing = `%[1]s ? (%[1]s ? !(%[1]s && time.hour == %[2]d) : time.weekday == 1) : (%[1]s ? %[1]s : !%[1]s && time.hour == %[2]d)`
	joining  = `%[1]s && time.hour > %[2]d || %[1]s && time.hour < 3 || %[1]s && lang == "fr" || %[1]s && lang == "de"`
)

// ofLast is a condition on the last of these audiences.
func ofLast(format string) func(int) string {
	return func(int) string { return fmt.Sprintf(format, maxAudienceDepth-1) }
}

// doubled is a sum of 2^n visits, written short.
func doubled(n int, of string) string {
	text := fmt.Sprintf("v%d > 5", n-1)
	for i := n - 1; i >= 0; i-- {
		element := of
		if i > 0 {
			element = fmt.Sprintf("v%d + v%d", i-1, i-1)
		}
		text = fmt.Sprintf("[%s].exists(v%d, %s)", element, i, text)
	}
	return text
}

func written(elements int, from int) string {
	texts := make([]string, elements)
	for i := range texts {
		texts[i] = fmt.Sprint(from + i)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// TestHostileDocumentsAreCompiledOrRefusedSoon: whoever may publish must not be
// able to stop the program by it.
func TestHostileDocumentsAreCompiledOrRefusedSoon(t *testing.T) {
	loops := func(rule int) string {
		return fmt.Sprintf("%s.exists(a, %s.exists(b, %s.exists(c, visitor.visits + a == time.hour * b + c * %d)))",
			written(15, 1), written(15, 100), written(15, 1000), rule)
	}
	tests := []struct {
		name string
		doc  *edge.ReleaseDocument
		auds []edge.Audience
		want string
	}{
		{"audiences that choose by each other", hostileDocument(1, 1, ofLast(`!inAudience("a%d")`)),
			multiplying(choosing), ""},
		{"audiences that join each other", hostileDocument(1, 1, ofLast(`!inAudience("a%d")`)),
			multiplying(joining), ""},
		{"loops in each other in thousands of rules", hostileDocument(4, 100, loops), nil, "all rules together"},
		{"many rules that name what is not there", hostileDocument(8, 200, func(rule int) string {
			return fmt.Sprint("no", rule, strings.Repeat(" || no.such.field.anywhere", 100))
		}), nil, "there is no field no.such"},
		{"megabytes of expressions", hostileDocument(16, 200, func(rule int) string {
			return fmt.Sprintf(`lang in ["%d%s"]`, rule, strings.Repeat("x", 4000))
		}), nil, "all different expressions together"},
		{"what doubles again and again in a shared condition", hostileDocument(20, 10, func(rule int) string {
			return fmt.Sprintf(`inAudience("a%d") && time.hour > %d`, rule/10, rule)
		}), doubledAudiences(20), "becomes too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.doc.Audiences = tt.auds
			start := time.Now()
			_, err := Compile(tt.doc)
			if took := time.Since(start); took > hostilePatience {
				t.Errorf("it took %v", took)
			}
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %.200v, want an error with %q", err, tt.want)
			case err != nil && strings.Count(err.Error(), "\n") > 2*maxFaults:
				t.Errorf("%d faults are told", strings.Count(err.Error(), "\n"))
			}
		})
	}
}

func doubledAudiences(n int) (audiences []edge.Audience) {
	for i := range n {
		audiences = append(audiences, edge.Audience{Name: fmt.Sprint("a", i), When: doubled(16, fmt.Sprintf("(visitor.visits * %d)", i+1))})
	}
	return audiences
}

// TestAnExplanationIsBounded: an audience that stands in many places is told and
// shown once.
func TestAnExplanationIsBounded(t *testing.T) {
	tests := []struct {
		name      string
		audiences []edge.Audience
		when      func(int) string
		verdict   string
	}{
		{"audiences that join each other", multiplying(joining), ofLast(`!inAudience("a%d")`), edge.VerdictUnknown},
		{"audiences that choose by each other", multiplying(choosing), ofLast(`inAudience("a%d")`), edge.VerdictUnknown},
		{"beside what holds", multiplying(joining), ofLast(`inAudience("a%d") || visitor.visits == 3`), edge.VerdictHeld},
		{"a very long condition", nil, func(int) string { return "visitor.visits == 3" + strings.Repeat(" && !(lang==''||false)", 170) }, edge.VerdictUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := hostileDocument(1, 1, tt.when)
			doc.Audiences = tt.audiences
			p, err := Read(must(Compile(doc)))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			values := func(name string) edge.Value {
				return visit{"geo.country": textValue("FR"), "visitor.visits": intValue(3)}[name]
			}
			c, err := p.Explain(0, 0, false, values, consent.All)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > hostilePatience {
				t.Errorf("it took %v", took)
			}
			if out, err := json.Marshal(c); err != nil || len(out) > 1<<20 {
				t.Errorf("%d bytes of explanation, error %v", len(out), err)
			}
			if c.Verdict != tt.verdict {
				t.Errorf("verdict %s, want %s", c.Verdict, tt.verdict)
			}
		})
	}
}

// TestACostIsThatOfTheSameWrittenOut: no way of writing something may hide what it
// takes, for the cost is all that bounds a decision.
func TestACostIsThatOfTheSameWrittenOut(t *testing.T) {
	a, b := `"`+strings.Repeat("a", 250)+`1"`, `"`+strings.Repeat("a", 250)+`2"`
	tests := []struct{ name, short, long string }{
		{"one of long texts", `page.title in [` + a + `, ` + b + `]`, `page.title == ` + a + ` || page.title == ` + b},
		{"one of long texts, in small letters", `page.title.lowerAscii() in [` + a + `, ` + b + `]`,
			`page.title.lowerAscii() == ` + a + ` || page.title.lowerAscii() == ` + b},
		{"the value of a long key", `interests[` + a + `] > 1.0`, `page.title == ` + a},
	}
	cost := func(source string) int {
		d, err := checkDocument(hostileDocument(1, 1, func(int) string { return source }))
		if err != nil {
			t.Fatal(err)
		}
		c := &compiler{document: d, lowerer: newLowerer(d), all: newInput()}
		c.lower(nil)
		return newCosting(worst, nil).cost(c.plans[0].rules[0].when)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if short, long := cost(tt.short), cost(tt.long); short < long*3/4 {
				t.Errorf("it costs %d, written out %d", short, long)
			}
		})
	}
}
