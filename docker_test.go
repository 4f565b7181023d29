// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestImage does what the Dockerfile says, without an engine: it builds with
// the same command, and runs the program as the image's user in a root that
// holds nothing but what the image holds.
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the whole program")
	}
	image := buildImage(t)

	t.Run("the program needs no loader and no library", func(t *testing.T) { checkStatic(t, image.path("nearside")) })
	t.Run("it knows its version", func(t *testing.T) {
		if got, want := image.output(t, "version"), "nearside 1.2.3-test\n"; got != want {
			t.Errorf("nearside version: got %q, want %q", got, want)
		}
	})
	t.Run("it serves, stops when asked, and starts again on its data", func(t *testing.T) {
		image.serveOnce(t)
		key, err := os.ReadFile(image.path("data/key"))
		if err != nil {
			t.Fatal(err)
		}
		image.serveOnce(t)
		if again, err := os.ReadFile(image.path("data/key")); err != nil || !bytes.Equal(again, key) {
			t.Errorf("the second start has another key (%v)", err)
		}
	})
	t.Run("it writes below the volume only", func(t *testing.T) {
		entries, err := os.ReadDir(image.root)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		if want := []string{"data", "nearside"}; !slices.Equal(names, want) {
			t.Errorf("the root holds %q, want %q", names, want)
		}
	})
}

// An image is what the Dockerfile makes, as a folder.
type image struct {
	root       string
	uid, gid   int
	env        []string
	entrypoint []string
	serve      []string // the default command
	health     []string
}

func (m *image) path(name string) string { return filepath.Join(m.root, name) }

// buildImage reads the Dockerfile and runs the command that builds the program.
func buildImage(t *testing.T) *image {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := parseDockerfile(string(text))
	if len(stages) != 2 || stages[1].only(t, "FROM") != "scratch" {
		t.Fatalf("the Dockerfile has %d stages, want a builder and one from scratch", len(stages))
	}
	final := stages[1]
	m := &image{root: t.TempDir(), env: strings.Fields(final.only(t, "ENV"))}
	if _, err := fmt.Sscanf(final.only(t, "USER"), "%d:%d", &m.uid, &m.gid); err != nil || m.uid == 0 || m.gid == 0 {
		t.Fatalf("USER %s is not numbers of a user without rights", final.only(t, "USER"))
	}
	_, health, _ := strings.Cut(final.only(t, "HEALTHCHECK"), "CMD ")
	for list, form := range map[*[]string]string{&m.entrypoint: final.only(t, "ENTRYPOINT"), &m.serve: final.only(t, "CMD"), &m.health: health} {
		if err := json.Unmarshal([]byte(form), list); err != nil {
			t.Fatalf("%s: not in exec form, and there is no shell: %v", form, err)
		}
	}

	builds := slices.DeleteFunc(stages[0]["RUN"], func(run string) bool { return !strings.Contains(run, "go build") })
	if len(builds) != 1 {
		t.Fatalf("the builder runs go build %d times, want once", len(builds))
	}
	build := exec.Command("sh", "-c", strings.ReplaceAll(builds[0], "/out/", m.root+"/"))
	build.Env = append(os.Environ(), "VERSION=1.2.3-test")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", builds[0], err, said)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(m.path("data"), m.uid, m.gid); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// A stage holds the arguments of each instruction of a stage in order.
type stage map[string][]string

// only returns the arguments of an instruction that has to be there once.
func (s stage) only(t *testing.T, instruction string) string {
	t.Helper()
	if len(s[instruction]) != 1 {
		t.Fatalf("%s stands %d times in a stage, want once", instruction, len(s[instruction]))
	}
	return s[instruction][0]
}

func parseDockerfile(text string) []stage {
	var stages []stage
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", "")) {
		instruction, arguments, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(instruction, "#") {
			continue
		}
		if instruction == "FROM" {
			stages = append(stages, stage{})
		}
		last := stages[len(stages)-1]
		last[instruction] = append(last[instruction], arguments)
	}
	return stages
}

func checkStatic(t *testing.T, program string) {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("the program asks for a loader")
		}
	}
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the program needs libraries: %q, %v", libraries, err)
	}
	if _, err := file.Symbols(); !errors.Is(err, elf.ErrNoSymbols) {
		t.Errorf("the program carries symbols: %v", err)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(52 << 20); info.Size() > most {
		t.Errorf("the program has %d bytes, want at most %d", info.Size(), most)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
}

// command returns a command in the image. Without the right to become another
// user the test becomes one in a user namespace of its own.
func (m *image) command(addr string, words ...string) *exec.Cmd {
	cmd := &exec.Cmd{Path: words[0], Args: words, Dir: "/", Env: append(slices.Clone(m.env), "NEARSIDE_ADDR="+addr)}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     m.root,
		Credential: &syscall.Credential{Uid: uint32(m.uid), Gid: uint32(m.gid)},
	}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: m.uid, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: m.gid, HostID: os.Getgid(), Size: 1}}
		cmd.SysProcAttr.Credential.NoSetGroups = true
	}
	return cmd
}

// start starts a command, or skips the test where the machine lets nobody
// become another user.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	err := cmd.Start()
	if os.Getuid() != 0 && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSPC)) {
		t.Skipf("neither root nor user namespaces here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// output returns what a command of the program prints.
func (m *image) output(t *testing.T, words ...string) string {
	t.Helper()
	var out, said bytes.Buffer
	cmd := m.command("127.0.0.1:0", append(slices.Clone(m.entrypoint), words...)...)
	cmd.Stdout, cmd.Stderr = &out, &said
	start(t, cmd)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%q: %v\n%s", words, err, said.String())
	}
	return out.String()
}

// serveOnce runs the image's default command until it is ready, asks the
// image's health check and /readyz, and stops it as an engine would.
func (m *image) serveOnce(t *testing.T) {
	t.Helper()
	cmd := m.command("127.0.0.1:0", slices.Concat(m.entrypoint, m.serve)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	giveUp := time.AfterFunc(60*time.Second, func() { cmd.Process.Kill() })
	defer giveUp.Stop()
	exited := false
	defer func() {
		if !exited {
			cmd.Process.Kill()
			cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the program said:\n%s", said.String())
		}
	}()

	base := readBase(out)
	if base == "" {
		t.Fatal("the program ended before it was ready")
	}
	answer, err := http.Get(base + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("/readyz: got %s, want 200", answer.Status)
	}
	health := m.command(strings.TrimPrefix(base, "http://"), m.health...)
	start(t, health)
	if err := health.Wait(); err != nil {
		t.Errorf("%q while it serves: %v", m.health, err)
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exited = true
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit status 0", err)
	}
}

// readBase returns the address in the program's line that says it is ready, or
// "" if the program ends without one. The rest of the output is thrown away.
func readBase(out io.Reader) string {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		for _, word := range strings.FieldsFunc(lines.Text(), func(r rune) bool { return r == ' ' || r == ',' }) {
			if strings.HasPrefix(word, "http://") {
				go func() { _, _ = io.Copy(io.Discard, out) }()
				return word
			}
		}
	}
	return ""
}

func TestDockerfileBuildsWithOurGo(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	_, after, _ := strings.Cut(string(mod), "\ngo ")
	if _, err := fmt.Sscanf(after, "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	want := "golang:" + strconv.Itoa(major) + "." + strconv.Itoa(minor) + "-"
	if from := parseDockerfile(string(text))[0].only(t, "FROM"); !strings.HasPrefix(from, want) {
		t.Errorf("the builder is from %s, go.mod wants %s…", from, want)
	}
}

// TestBuildContext proves that .dockerignore keeps nothing from the builder
// that the go command reads.
func TestBuildContext(t *testing.T) {
	ignored, err := os.ReadFile(".dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	format := `{{if and .Module .Module.Main}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}
{{end}}{{range .EmbedFiles}}{{$dir}}/{{.}}
{{end}}{{end}}`
	listed, err := exec.Command("go", "list", "-deps", "-f", format, ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(strings.ReplaceAll(string(listed), root+"/", ""))
	if !slices.Contains(files, "main.go") || !slices.Contains(files, "edge/decide.go") {
		t.Fatalf("go list names %d files, without main.go and edge/decide.go", len(files))
	}
	for _, file := range append(files, "go.mod", "go.sum") {
		if pattern := ignoredBy(string(ignored), file); pattern != "" {
			t.Errorf("the build reads %s, which .dockerignore leaves out by %s", file, pattern)
		}
	}
	for _, file := range []string{".git/config", "edge/decide_test.go", "edge/testdata/cases/a.json", "README.md"} {
		if ignoredBy(string(ignored), file) == "" {
			t.Errorf("nothing in .dockerignore leaves out %s", file)
		}
	}
}

// ignoredBy returns the pattern that leaves a file or a folder above it out of
// the build context, or "". It knows the patterns that we use: "**/" at the
// beginning stands for any folders, and none is negated.
func ignoredBy(patterns, file string) string {
	for pattern := range strings.Lines(patterns) {
		pattern = strings.TrimSpace(pattern)
		for at := file; pattern != "" && pattern[0] != '#' && at != "."; at = filepath.Dir(at) {
			last, anywhere := strings.CutPrefix(pattern, "**/")
			name := at
			if anywhere {
				name = filepath.Base(at)
			}
			if ok, _ := filepath.Match(last, name); ok {
				return pattern
			}
		}
	}
	return ""
}
