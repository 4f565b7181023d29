// SPDX-License-Identifier: Apache-2.0

package abitest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestConformanceOfGo builds the echo module on the fly: it is too large to be
// kept, and another toolchain gives other bytes.
func TestConformanceOfGo(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and compiles a module of two megabytes")
	}
	wasm, err := os.ReadFile(buildGo(t))
	if err != nil {
		t.Fatal(err)
	}
	Run(t, wasm)
}

func buildGo(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%v: under CI nothing is left out", err)
		}
		t.Skip("no go command")
	}
	dir := t.TempDir()
	for _, from := range []string{"../sdk/go/near.go", "../sdk/go/near_fields.go", "echo-go/echo.go"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(from)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	built := filepath.Join(dir, "rule.wasm")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w -buildid=",
		"-o", built, "echo.go", "near.go", "near_fields.go")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return built
}
