// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"fmt"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

func BenchmarkEncode(b *testing.B) {
	for _, bb := range []struct {
		name string
		mask edge.Mask
	}{
		{"2 fields", edge.Mask{}.With(edge.FieldCountry).With(edge.FieldDeviceType)},
		{"every field", everything(0)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			view := edgetest.View(typicalVisit(), bb.mask, consent.All)
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				dst = encodeRecord(view, dst[:0])
			}
		})
	}
}

// BenchmarkChoose is one call on a view that is already encoded: copy the
// record, call, read the answer, put the instance back.
func BenchmarkChoose(b *testing.B) {
	for _, name := range []string{"by-device", "season-by-place", "offer-by-history"} {
		b.Run(name, func(b *testing.B) {
			r := embedded(b, name, "")
			view := edgetest.View(typicalVisit(), declared(*r.manifest), consent.All)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Choose(view, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, language := range languages(b) {
		b.Run("no words "+language, func(b *testing.B) {
			source := echo(b, language)
			r := mustLoad(b, newHost(b, Options{Source: source}), source)
			view, slot := echoView(source), source.manifest.Slot("score")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Choose(view, slot); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecideRules is what a beacon pays for compiled rules once its record is
// there: copy it, then two slots of ten rules each, of which most do not hold.
func BenchmarkDecideRules(b *testing.B) {
	modules := &shelf{}
	ruleRelease(b, modules, 1)
	list, err := modules.List()
	if err != nil || len(list) != 1 {
		b.Fatal(list, err)
	}
	r := mustLoadRules(b, newHost(b, Options{Source: modules}), testSource{hash: list[0].Hash})
	view, held := ruleView(r, consent.Context, "FR", "spring"), make([]edge.Held, 2)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Decide(view, []int{0, 1}, held); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCall is the call alone: what it stored is neither looked at nor put
// back.
func BenchmarkCall(b *testing.B) {
	for _, name := range []string{"by-device", "season-by-place", "offer-by-history"} {
		b.Run(name, func(b *testing.B) {
			r := embedded(b, name, "")
			record := encodeRecord(edgetest.View(typicalVisit(), declared(*r.manifest), consent.All), nil)
			in, err := r.template.restart(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			ctx := b.Context()
			for b.Loop() {
				clear(in.memory[in.out : in.out+4])
				if _, err := in.choose(ctx, record, 0, 4, edge.MaxBudget); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkChooseParallel(b *testing.B) {
	r := embedded(b, "season-by-place", "")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		view := edgetest.View(typicalVisit(), declared(*r.manifest), consent.All)
		for pb.Next() {
			if _, err := r.Choose(view, 0); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkRestart is another instance, as after a memory that grew.
func BenchmarkRestart(b *testing.B) {
	for _, name := range []string{"season-by-place", "offer-by-history"} {
		b.Run(name, func(b *testing.B) {
			r := embedded(b, name, "")
			b.ReportAllocs()
			for b.Loop() {
				in, err := r.template.restart(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				in.close()
			}
		})
	}
}

// BenchmarkLoad is a module that was compiled before, with settings it was not
// loaded with: from its bytes to a rule that serves.
func BenchmarkLoad(b *testing.B) {
	for _, language := range languages(b) {
		b.Run(language, func(b *testing.B) {
			source := echo(b, language)
			h := newHost(b, Options{Source: source})
			mustLoad(b, h, source)
			bind, n := bindAll(source.manifest), 0
			for b.Loop() {
				ref := source.ref()
				ref.Settings = fmt.Appendf(nil, `{"n":%d}`, n)
				n++
				if _, err := h.Load("demo", ref, bind); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpload is a module that no node has seen: from its bytes through a
// check to a rule that serves.
func BenchmarkUpload(b *testing.B) {
	for _, language := range languages(b) {
		b.Run(language, func(b *testing.B) {
			source := echo(b, language)
			for b.Loop() {
				h, err := New(Options{Source: source}) // with a cache of its own
				if err != nil {
					b.Fatal(err)
				}
				report, err := h.Checker().Check(b.Context(), source.wasm)
				if err != nil || !report.OK {
					b.Fatal(err, report)
				}
				mustLoad(b, h, source)
				if err := h.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStart is a host that starts with code in its cache, and its first
// rule.
func BenchmarkStart(b *testing.B) {
	source, dir := echo(b, "c"), b.TempDir()
	for b.Loop() {
		h, err := New(Options{Source: source, CacheDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		mustLoad(b, h, source)
		if err := h.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
