// SPDX-License-Identifier: Apache-2.0

package wasmrules

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
	"time"

	"github.com/tetratelabs/wazero"
)

// CompileCommand is the hidden command by which a Host runs its own program
// again to compile one module. The program's main, and TestMain of a test that
// loads modules which are not built in, must hand its arguments to CompileMain
// before anything else:
//
//	if len(os.Args) > 1 && os.Args[1] == wasmrules.CompileCommand {
//		os.Exit(wasmrules.CompileMain(os.Args[2:]))
//	}
const CompileCommand = "compile-module"

// A jail compiles modules in a process of its own, one at a time. Compiling is
// the one thing in a module's life that no fuel bounds: within the limits that
// verification sets, a hostile module can still ask for seconds of it.
type jail struct {
	dir   string        // of the code cache, absolute
	turn  chan struct{} // holds one token: who has it may compile
	apart apartness
}

// jailLimits bound one compilation. On Linux the kernel enforces all of them;
// elsewhere wall alone holds, and heap as the garbage collector's soft limit.
type jailLimits struct {
	cpu     time.Duration // whole seconds
	address uint64        // bytes of address space
	file    uint64        // bytes of the code it writes
	wall    time.Duration
}

// standardLimits are what the largest module within the limits of verification
// needs, many times over: beside busy processes a Go module waits for a processor
// ten times as long as it computes.
var standardLimits = jailLimits{cpu: 16 * time.Second, address: 2 << 30, file: 64 << 20, wall: time.Minute}

// Exit codes of the compiling process; any other is a crash.
const (
	jailOK      = 0
	jailRefused = 3 // the compiler found the module invalid
	jailBroken  = 4 // the cache or a limit could not be set up
)

// maxJailOutput bounds what is kept of the compiling process's words.
const maxJailOutput = 4 << 10

func newJail(dir string) *jail {
	j := &jail{dir: dir, turn: make(chan struct{}, 1)}
	j.turn <- struct{}{}
	return j
}

// compile writes the code of a module into the cache. The module has been
// verified and rewritten. The error is a *ModuleError that says what the module
// did to the compiler, or tells that the machine could not start one.
func (j *jail) compile(ctx context.Context, wasm []byte, limits jailLimits) error {
	if len(os.Args) > 1 && os.Args[1] == CompileCommand {
		return errors.New("compile: the program must call CompileMain before it loads modules")
	}
	ctx, cancel := context.WithTimeout(ctx, limits.wall)
	defer cancel()
	said, state, err := j.run(ctx, wasm, limits)
	switch {
	case err != nil:
		return fmt.Errorf("compile: %w", err)
	case state.ExitCode() == jailOK:
		return nil
	case state.ExitCode() == jailRefused:
		return &ModuleError{CodeInvalid, errors.New("compile: " + said)}
	case state.ExitCode() == jailBroken:
		return errors.New("compile: " + said)
	// The kernel counts finer when it kills than when it reports.
	case state.UserTime()+state.SystemTime() > limits.cpu*3/4:
		return &ModuleError{CodeTooSlow, fmt.Errorf("compile: not done after %v of processor time", limits.cpu)}
	case ctx.Err() != nil:
		return &ModuleError{CodeTooSlow, fmt.Errorf("compile: not done after %v, of which the processor had it for %v",
			limits.wall, (state.UserTime() + state.SystemTime()).Round(time.Second/10))}
	case outOfRoom(said):
		return &ModuleError{CodeTooLarge, fmt.Errorf("compile: needs more than %d MiB of memory or %d MiB of code", limits.address>>20, limits.file>>20)}
	}
	return &ModuleError{CodeCrashed, fmt.Errorf("compile: the compiler crashed: %v: %s", state, said)}
}

// run starts the process and waits for it. said is the first line it wrote.
func (j *jail) run(ctx context.Context, wasm []byte, limits jailLimits) (said string, state *os.ProcessState, err error) {
	// Past the deadline the process is killed; this is for one that cannot die.
	const grace = time.Second
	var words boundedWriter
	cmd, err := j.apart.start(func() *exec.Cmd {
		cmd := exec.CommandContext(ctx, ownProgram(), CompileCommand, j.dir,
			strconv.FormatInt(int64(limits.cpu/time.Second), 10),
			strconv.FormatUint(limits.address, 10),
			strconv.FormatUint(limits.file, 10))
		cmd.Env = []string{}
		cmd.Dir = os.TempDir()
		cmd.Stdin = bytes.NewReader(wasm)
		cmd.Stderr = &words
		cmd.WaitDelay = grace
		return cmd
	})
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Wait(); cmd.ProcessState == nil {
		return "", nil, err
	}
	said, _, _ = strings.Cut(words.String(), "\n")
	return said, cmd.ProcessState, nil
}

// outOfRoom reports whether a process that failed did so for want of memory or
// of room in its file, by what Go's runtime and the kernel call it.
func outOfRoom(said string) bool {
	for _, sign := range []string{"out of memory", "cannot allocate memory", "failed to reserve", "file too large", "SIGXFSZ", "file size limit", "address space"} {
		if strings.Contains(said, sign) {
			return true
		}
	}
	return false
}

// A boundedWriter keeps the first maxJailOutput bytes and forgets the rest.
type boundedWriter struct{ bytes.Buffer }

func (w *boundedWriter) Write(p []byte) (int, error) {
	w.Buffer.Write(p[:min(len(p), maxJailOutput-w.Len())])
	return len(p), nil
}

// CompileMain is the process that compiles: it reads a verified and rewritten
// module from standard input and writes its code into a cache directory. args
// are what a Host passes after CompileCommand. It returns the exit code.
func CompileMain(args []string) int {
	fail := func(code int, err error) int {
		fmt.Fprintln(os.Stderr, firstLine(err))
		return code
	}
	if len(args) != 4 {
		return fail(jailBroken, fmt.Errorf("%s is for the program's own use", CompileCommand))
	}
	cpu, err1 := strconv.ParseUint(args[1], 10, 32)
	address, err2 := strconv.ParseUint(args[2], 10, 64)
	file, err3 := strconv.ParseUint(args[3], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fail(jailBroken, err)
	}
	runtime.GOMAXPROCS(1)
	debug.SetTraceback("none")
	// Collecting harder as the limit comes near is better than dying at it.
	debug.SetMemoryLimit(int64(address / 2))
	if err := confine(jailLimits{cpu: time.Duration(cpu) * time.Second, address: address, file: file}); err != nil {
		return fail(jailBroken, fmt.Errorf("limits: %w", err))
	}
	wasm, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fail(jailBroken, err)
	}
	cache, err := wazero.NewCompilationCacheWithDir(args[0])
	if err != nil {
		return fail(jailBroken, err)
	}
	ctx := context.Background()
	machine := wazero.NewRuntimeWithConfig(ctx, runtimeConfig().WithCompilationCache(cache))
	if _, err := machine.CompileModule(ctx, wasm); err != nil {
		if outOfRoom(err.Error()) {
			return fail(1, err)
		}
		return fail(jailRefused, err)
	}
	return jailOK
}
