// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"

	"github.com/nearside/nearside/edge"
)

const (
	// goodAfter calls follow a runaway one, on the same instance: few enough to
	// cost little beside it, and enough that the module is not quarantined.
	goodAfter = 9
	// timeLimit is what Extism's call may take. It is in whole milliseconds.
	timeLimit = 10 * time.Millisecond
)

// BenchmarkRunaway is a call that never ends by itself, stopped by the largest
// budget there is, and good calls after it. Beside it Extism's limit of time
// stops the same loop, closes the plugin, and a next instance answers.
func BenchmarkRunaway(b *testing.B) {
	for _, language := range languages {
		b.Run(language, func(b *testing.B) {
			modules := &shelf{}
			m := mustNumber(b, guest(b, language), 1)
			modules.put(m)
			rule, err := newHost(b, modules).Load("shop", m.ref, nil)
			if err != nil {
				b.Fatal(err)
			}
			bad, good := runaway.view(b, &m.manifest), hot.view(b, &m.manifest)
			again := choosing(rule, good, hot)
			ours := func() error {
				if _, err := rule.Choose(bad, 0); !errors.Is(err, edge.ErrBudget) {
					return fmt.Errorf("a call without end gave %v", err)
				}
				for range goodAfter {
					if err := again(); err != nil {
						return err
					}
				}
				return nil
			}
			if err := ours(); err != nil {
				b.Fatal(err)
			}
			compare(b, "runaway, "+language, "≤ 1 ms, then good",
				contender{name: "fuel", call: ours},
				contender{name: fmt.Sprintf("extism-%v-and-next", timeLimit), call: stoppedByTime(b, bad, good)})
		})
	}
}

// stoppedByTime is the same under Extism, on views that are encoded.
func stoppedByTime(b *testing.B, bad, good *edge.View) func() error {
	b.Helper()
	ctx := context.Background()
	badRecord, err1 := recordOf(bad)
	goodRecord, err2 := recordOf(good)
	compiled, err3 := extism.NewCompiledPlugin(ctx, extism.Manifest{
		Wasm:    []extism.Wasm{extism.WasmData{Data: guest(b, "extism")}},
		Timeout: uint64(timeLimit.Milliseconds()),
	}, extism.PluginConfig{}, nil)
	if err := errors.Join(err1, err2, err3); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = compiled.Close(ctx) })
	badRecord, goodRecord = forExtism(badRecord), forExtism(goodRecord)
	return func() error {
		for {
			plugin, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
			if err != nil {
				return err
			}
			a, late := ask(plugin, goodRecord) // on a busy machine a good call may be too late as well
			_, err = ask(plugin, badRecord)
			if err := errors.Join(plugin.Close(ctx), late); late == nil && err != nil {
				return err
			}
			if err == nil {
				return errors.New("a call without end ended")
			}
			if late == nil {
				return hot.check(a.variant, a.score)
			}
		}
	}
}
