// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	extism "github.com/extism/go-sdk"

	"github.com/nearside/nearside/edge"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// holdCommand makes the test binary a process that loads modules and tells what
// memory it has: its arguments are who runs them ("nearside" or "extism"), the
// guest's file and how many.
const holdCommand = "hold-modules"

const (
	heldModules   = 1000
	heldPlugins   = 50 // a thousand would need more than most machines have
	heldInstances = 2  // of each
)

// BenchmarkMemory is what a thousand modules need that are all different and
// have two instances each, in a process of their own.
func BenchmarkMemory(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("a process's memory is read from /proc")
	}
	plugins := "guests/extism/rule.wasm"
	for _, language := range []string{"c", "rust", "assemblyscript"} {
		b.Run(language, func(b *testing.B) {
			for b.Loop() {
				ours := held(b, "nearside", "guests/"+language+"/rule.wasm", heldModules)
				theirs := held(b, "extism", plugins, heldPlugins)
				each, peer := ours/(heldModules*heldInstances), theirs/(heldPlugins*heldInstances)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(ours/1e6, "MB")
				b.ReportMetric(peer/each, "x-extism-per-instance")
				results.add(row{
					what: fmt.Sprintf("memory of %d modules × %d, %s", heldModules, heldInstances, language), target: "≤ 400 MB",
					note: fmt.Sprintf("%.0f MB resident, %.0f kB an instance; Extism %.0f kB (%.1f×)", ours/1e6, each/1e3, peer/1e3, peer/each),
				})
			}
		})
	}
}

// held starts a process that holds modules and returns what memory they cost it.
func held(b *testing.B, who, file string, count int) (bytesResident float64) {
	b.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(os.Args[0], holdCommand, who, file, strconv.Itoa(count))
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%v: %s", err, errs.Bytes())
	}
	if _, err := fmt.Sscan(string(out), &bytesResident); err != nil {
		b.Fatal(err)
	}
	return bytesResident
}

// holdMain is that process.
func holdMain(args []string, out, errs io.Writer) int {
	count, err := strconv.Atoi(args[2])
	if err == nil {
		err = hold(args[0], args[1], count, out)
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return 1
	}
	return 0
}

func hold(who, file string, count int, out io.Writer) error {
	wasm, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	record, err := encoded()
	if err != nil {
		return err
	}
	before, err := resident()
	if err != nil {
		return err
	}
	var kept []any
	if who == "extism" {
		kept, err = holdPlugins(wasm, count, record)
	} else {
		kept, err = holdModules(wasm, count)
	}
	if err != nil {
		return err
	}
	after, err := resident()
	if err != nil {
		return err
	}
	runtime.KeepAlive(kept)
	fmt.Fprintln(out, after-before)
	return nil
}

// encoded is the record of the hot sample. Only a host writes one, so a module
// is asked for it.
func encoded() ([]byte, error) {
	wasm, err := os.ReadFile("guests/c/rule.wasm")
	if err != nil {
		return nil, err
	}
	m, err := numbered(wasm, 0)
	if err != nil {
		return nil, err
	}
	modules := &shelf{}
	modules.put(m)
	host, err := wasmrules.New(wasmrules.Options{Source: modules})
	if err != nil {
		return nil, err
	}
	defer host.Close()
	rule, err := host.Load("shop", m.ref, nil)
	if err != nil {
		return nil, err
	}
	view, err := hot.viewOf(&m.manifest)
	if err != nil {
		return nil, err
	}
	if _, err := rule.Choose(view, 0); err != nil {
		return nil, err
	}
	record, err := recordOf(view)
	return bytes.Clone(record), err
}

// resident is the memory of this process in bytes once it is tidied up.
func resident() (int64, error) {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// holdModules loads modules that are all different, and sees to it that each has
// its instances: calls at once need one each.
func holdModules(wasm []byte, count int) ([]any, error) {
	runtime.GOMAXPROCS(max(heldInstances, runtime.GOMAXPROCS(0)))
	modules := &shelf{}
	host, err := wasmrules.New(wasmrules.Options{Source: modules, Instances: heldInstances})
	if err != nil {
		return nil, err
	}
	kept := []any{host}
	rules := map[string]edge.Rule{}
	for n := range count {
		m, err := numbered(wasm, n)
		if err != nil {
			return nil, err
		}
		modules.put(m)
		rule, err := host.Load("shop", m.ref, nil)
		if err != nil {
			return nil, err
		}
		kept, rules[m.ref.ID()] = append(kept, rule), rule
	}
	for range 100 {
		missing := 0
		for _, s := range host.Status() {
			if s.Instances < heldInstances {
				missing++
				if err := callAtOnce(rules[s.Module]); err != nil {
					return nil, err
				}
			}
		}
		if missing == 0 {
			return kept, nil
		}
	}
	return nil, errors.New("some modules do not get their instances")
}

// callAtOnce makes a call in each of several goroutines. It does not end by
// itself, so that the calls meet; good ones after it keep the module from being
// quarantined for that.
func callAtOnce(rule edge.Rule) error {
	var group sync.WaitGroup
	var ready atomic.Int32
	errs := make([]error, heldInstances)
	for i := range heldInstances {
		bad, err1 := runaway.viewOf(rule.Manifest())
		good, err2 := hot.viewOf(rule.Manifest())
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		group.Go(func() {
			for ready.Add(1); ready.Load() < heldInstances; {
				runtime.Gosched()
			}
			if _, err := rule.Choose(bad, 0); !errors.Is(err, edge.ErrBudget) {
				errs[i] = fmt.Errorf("a call without end gave %w", err)
			}
			for range 64 {
				if _, err := rule.Choose(good, 0); err != nil {
					errs[i] = err
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// holdPlugins makes as many compiled plugins with their instances, and calls
// each once, as each of the modules was called.
func holdPlugins(wasm []byte, count int, record []byte) (kept []any, err error) {
	ctx := context.Background()
	for n := range count {
		m, err := numbered(wasm, n)
		if err != nil {
			return nil, err
		}
		compiled, err := extism.NewCompiledPlugin(ctx, extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: m.wasm}}}, extism.PluginConfig{}, nil)
		if err != nil {
			return nil, err
		}
		kept = append(kept, compiled)
		for range heldInstances {
			plugin, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
			if err != nil {
				return nil, err
			}
			if _, err := ask(plugin, forExtism(record)); err != nil {
				return nil, err
			}
			kept = append(kept, plugin)
		}
	}
	return kept, nil
}
