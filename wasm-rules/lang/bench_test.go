// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"context"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/nearside/nearside/edge"
)

// BenchmarkDecide tells rules on one record after another of 64 visits.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 50, 100} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) { benchDecide(b, grown(n), 1) })
	}
	b.Run("slots=3/rules=10", func(b *testing.B) {
		doc := grown(300)
		for i := range doc.Slots {
			doc.Slots[i].Ladder[0].Rules = doc.Slots[i].Ladder[0].Rules[:10]
		}
		benchDecide(b, doc, 3)
	})
}

func benchDecide(b *testing.B, doc *edge.ReleaseDocument, slots int) {
	m := load(b, doc)
	countries := []string{"FR", "DE", "IT", "ES", "PL", "NL", "SE", "GB"}
	var records [64][]byte
	for i := range records {
		v := visit{
			"geo.country": textValue(countries[i*5%8]), "device.type": textValue([]string{"phone", "desktop", "tablet"}[i*7%3]),
			"page.tags": listValue(fmt.Sprint("tag-", i), "sale", fmt.Sprint("tag-", i/2)), "visitor.visits": intValue(int64(i * 3 % 9)), "lang": textValue("fr"),
		}
		records[i] = encodeVisit(v, m.own, m.builtin)
	}
	ctx := context.Background()
	stack := make([]uint64, 1)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.memory.Write(m.at, records[i&63])
		_ = m.visit.CallWithStack(ctx, stack)
		for slot := range slots {
			stack[0] = uint64(slot)
			_ = m.decide.CallWithStack(ctx, stack)
		}
		i++
	}
}

// BenchmarkCompile compiles a release and loads its module.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{200, 1000} {
		doc := grown(n)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			for b.Loop() {
				must(Compile(doc))
			}
		})
		wasm := must(Compile(doc))
		b.Run(fmt.Sprintf("rules=%d/wazero", n), func(b *testing.B) {
			ctx := context.Background()
			for b.Loop() {
				runtime := wazero.NewRuntime(ctx)
				if _, err := runtime.CompileModule(ctx, wasm); err != nil {
					b.Fatal(err)
				}
				runtime.Close(ctx)
			}
		})
	}
}
