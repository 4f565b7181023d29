// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// TestMain is also the program that a jail runs again.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == CompileCommand {
		if os.Args[2] == probeDir {
			os.Exit(probe())
		}
		os.Exit(CompileMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// newTestCompiler is a compiler with a cache of its own.
func newTestCompiler(t testing.TB) *compiler {
	t.Helper()
	c, err := openCompiler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// nestedIfs is a module whose size is in proportion to n, and the time to
// compile it to a power of n.
func nestedIfs(n int) []byte {
	code := bytes.Repeat([]byte{0x41, 1, 0x04, 0x40}, n) // i32.const 1, if
	return assemble(minimal(testFunc{"deep", nil, []byte{}, append(code, bytes.Repeat([]byte{0x0b}, n)...)}))
}

// manyLocals is a module of a few bytes that asks the compiler for 34 GB.
func manyLocals() []byte {
	body := slices.Concat(uleb(1), uleb(1<<32-2), []byte{wasmI32, 0x0b})
	return slices.Concat(wasmHeader,
		section(sectionType, []byte{1, 0x60, 0, 0}),
		section(sectionFunction, []byte{1, 0}),
		section(sectionCode, append(uleb(1), sized(body)...)))
}

// wantCode checks that an error is a refusal with a code, in one line.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var refused *ModuleError
	if !errors.As(err, &refused) || refused.Code != code || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line with code %s", err, code)
	}
}

func TestAJailedModuleIsLoadedFromTheCache(t *testing.T) {
	c := newTestCompiler(t)
	wasm := assemble(minimal())
	if _, err := c.cached(wasm); !errors.Is(err, errNotCached) {
		t.Fatalf("before it was compiled: %v", err)
	}
	for range 2 {
		code, err := c.compile(t.Context(), wasm, false, standardLimits)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := code.ExportedFunctions()[exportDecide]; !ok {
			t.Error("the code is another module's")
		}
	}
	if n := len(c.entries()); n != 1 {
		t.Errorf("%d entries in the cache, want 1", n)
	}
}

// TestTheServerNeverCompilesAStrangersModule asks for a module that would take
// the server a minute to compile, with a jail that writes nothing.
func TestTheServerNeverCompilesAStrangersModule(t *testing.T) {
	c := newTestCompiler(t)
	c.jail.dir = t.TempDir() // not where the server looks
	if _, err := c.compile(t.Context(), assemble(minimal()), false, standardLimits); !errors.Is(err, errNotCached) {
		t.Errorf("without an entry in the cache: %v", err)
	}
	if _, err := c.cached(nestedIfs(50_000)); !errors.Is(err, errNotCached) {
		t.Errorf("a slow module: %v", err)
	}
}

func TestADamagedCacheIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	wasm := assemble(minimal())
	for _, damage := range []func(b []byte) []byte{
		func(b []byte) []byte { return b },
		func(b []byte) []byte { return b[:len(b)/2] },
		func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		func([]byte) []byte { return []byte("nothing") },
	} {
		c, err := openCompiler(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.compile(t.Context(), wasm, false, standardLimits); err != nil {
			t.Error(err)
		}
		path := c.entries()[0].path
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.close(), os.WriteFile(path, damage(b), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACacheThatIsTooLargeLosesItsOldest(t *testing.T) {
	c := newTestCompiler(t)
	if _, err := c.compile(t.Context(), assemble(minimal()), false, standardLimits); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(c.entries()[0].path)
	write := func(name string, size int64, age time.Duration) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size), os.Chtimes(path, time.Time{}, time.Now().Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	write("old", maxCacheBytes/2, 3*time.Hour)
	write("newer", maxCacheBytes/4, 2*time.Hour)
	write("newest", maxCacheBytes/4, time.Hour)
	write("killed.123.tmp", 1, 2*time.Minute)
	write("writing.123.tmp", 1, 0)
	if err := c.trim(); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range c.entries() {
		if name := filepath.Base(e.path); len(name) < 64 {
			left = append(left, name)
		}
	}
	if want := []string{"newest", "writing.123.tmp"}; !slices.Equal(left, want) {
		t.Errorf("%v is left, want %v", left, want)
	}
}

func TestTheCacheIsTheOperatorsAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	c, err := openCompiler(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestAHostileCompilationIsKilled gives the jail what would take the compiler a
// minute or 34 GB. Meanwhile another module keeps answering.
func TestAHostileCompilationIsKilled(t *testing.T) {
	tests := []struct {
		name   string
		wasm   []byte
		limits jailLimits
		want   string
	}{
		{"by its processor time", nestedIfs(50_000), jailLimits{cpu: time.Second, address: 2 << 30, file: 1 << 20, wall: time.Minute}, CodeTooSlow},
		{"by the clock", nestedIfs(50_000), jailLimits{cpu: time.Minute, address: 2 << 30, file: 1 << 20, wall: time.Second / 2}, CodeTooSlow},
		{"by its memory", manyLocals(), standardLimits, CodeTooLarge},
		{"by the size of its code", assemble(minimal()), jailLimits{cpu: 10 * time.Second, address: 2 << 30, file: 16, wall: time.Minute}, CodeTooLarge},
		{"as invalid", assemble(minimal(testFunc{"bad", nil, []byte{wasmI32}, constI64(1)})), standardLimits, CodeInvalid},
	}
	r := embedded(t, "by-device", "")
	view := edgetest.View(&edge.Visit{Device: edge.Device{Type: "phone"}}, declared(*r.manifest), consent.Context)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestCompiler(t)
			done, began := make(chan error, 1), time.Now()
			go func() {
				// Verification would refuse these before the jail sees them.
				done <- c.jail.compile(context.Background(), tt.wasm, tt.limits)
			}()
			for calls := 0; ; calls++ {
				if answer, err := r.Choose(view, 0); err != nil || answer.Variant == 0 {
					t.Fatalf("meanwhile: %+v, %v", answer, err)
				}
				time.Sleep(100 * time.Microsecond) // leave a processor to the jail
				select {
				case err := <-done:
					wantCode(t, err, tt.want)
					if took := time.Since(began); calls < 10 && took > time.Second/4 {
						t.Errorf("the other module answered %d times in %v", calls, took)
					}
					if _, err := c.compile(t.Context(), assemble(minimal()), false, standardLimits); tt.limits == standardLimits && err != nil {
						t.Errorf("afterwards: %v", err)
					}
					return
				default:
				}
			}
		})
	}
}

func TestWhoWaitsTooLongForTheJailIsTold(t *testing.T) {
	c := newTestCompiler(t)
	<-c.jail.turn
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := c.compile(ctx, assemble(minimal()), false, standardLimits)
	wantCode(t, err, CodeBusy)
	c.jail.turn <- struct{}{}
}

// probeDir in place of a cache asks the compiling process what it sees.
const probeDir = "probe"

// sight is what a compiling process sees of the machine.
type sight struct {
	Environment []string
	Files       []string
	Networks    int
	Nice        string
	Limits      map[string]string
}

func TestTheJailedProcessSeesNothingOfTheServer(t *testing.T) {
	if _, err := os.Stat("/proc/self/limits"); err != nil {
		t.Skip("only Linux has what this reads")
	}
	t.Setenv("SECRET", "of the server")
	open, err := os.Open("jail_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	j := newJail(probeDir)
	err = j.compile(t.Context(), nil, standardLimits)
	var got sight
	if err == nil || json.Unmarshal([]byte(strings.TrimPrefix(err.Error(), "compile: ")), &got) != nil {
		t.Fatalf("the probe says %v", err)
	}
	if len(got.Environment) > 0 {
		t.Errorf("environment: %q", got.Environment)
	}
	// Standard streams, what Go's runtime opens for itself, and the probe's own.
	harmless := regexp.MustCompile(`^(/dev/null|pipe:.*|anon_inode:.*|/proc/.*|/sys/fs/cgroup/.*)$`)
	for _, file := range got.Files {
		if !harmless.MatchString(file) {
			t.Errorf("open file: %s", file)
		}
	}
	if got.Nice != "10" {
		t.Errorf("nice is %s", got.Nice)
	}
	if os.Getuid() == 0 && apart(j) && got.Networks != 1 {
		t.Errorf("%d network interfaces, want the loopback alone", got.Networks)
	}
	for name, want := range map[string]string{
		"Max cpu time": "16", "Max address space": "2147483648", "Max file size": "67108864", "Max open files": "32", "Max core file size": "0",
	} {
		if got.Limits[name] != want {
			t.Errorf("%s: %s, want %s", name, got.Limits[name], want)
		}
	}
}
