// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// stringVectors are the texts of the IAB's vectors.
func stringVectors(t testing.TB, file string) (texts []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("consent", "testdata", "vectors", file))
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Text string }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		texts = append(texts, v.Text)
	}
	return texts
}

var vectorDay = time.Date(2026, time.November, 27, 12, 0, 0, 0, time.UTC)

// Whatever was kept before, and by whichever site, the verdict is that of the
// strings themselves. Requests come at the same time, with memory of their own.
func TestKeptAnswersDecideAsTheStringsDo(t *testing.T) {
	tcf, gpp := stringVectors(t, "tcf.json"), stringVectors(t, "gpp.json")
	tcf, gpp = append(tcf, "CQ", tcf[0]+"."), append(gpp, "DB", gpp[0]+"~")
	a := newAnswers()
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(worker)))
			granted := 0
			for range 5000 {
				p := consent.Policy{TCF: []consent.TCFReading{consent.ByPurpose, consent.ByPublisher, 114}[r.IntN(3)]}
				text, other := []byte(tcf[r.IntN(len(tcf))]), []byte(gpp[r.IntN(len(gpp))])
				s := consent.Signals{Claimed: consent.All, GDPR: consent.Tri(r.IntN(3)), TCF: textOf(text), GPP: textOf(other), GPPSections: []int{2 + r.IntN(26)}}
				got := a.evaluate(&s, &p, consent.Region{}, vectorDay)
				if want := consent.Evaluate(&s, &p, consent.Region{}, vectorDay); got != want {
					t.Errorf("kept: %+v, decoded: %+v of %+v", got, want, s)
					return
				}
				if got.Granted != 0 {
					granted++
				}
				clear(text) // the request's memory is used again
				clear(other)
			}
			if granted < 100 {
				t.Errorf("only %d verdicts grant anything", granted)
			}
		})
	}
	wg.Wait()
}

func TestKeptAnswersAllocs(t *testing.T) {
	a := newAnswers()
	s := consent.Signals{Claimed: consent.All, GDPR: consent.Yes, TCF: stringVectors(t, "tcf.json")[0], GPP: stringVectors(t, "gpp.json")[0], GPPSections: []int{7}}
	var p consent.Policy
	if n := testing.AllocsPerRun(100, func() { a.evaluate(&s, &p, consent.Region{}, vectorDay) }); n != 0 {
		t.Errorf("%v allocations for strings that were seen before", n)
	}
}

func BenchmarkKeptAnswers(b *testing.B) {
	for name, texts := range map[string][]string{"one": stringVectors(b, "tcf.json")[:1], "many": stringVectors(b, "tcf.json")} {
		b.Run(name, func(b *testing.B) {
			a := newAnswers()
			var p consent.Policy
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s := consent.Signals{Claimed: consent.All, GDPR: consent.Yes, TCF: texts[i%len(texts)]}
				a.evaluate(&s, &p, consent.Region{}, vectorDay)
			}
		})
	}
}
