// SPDX-License-Identifier: Apache-2.0

package accuracy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v4"
)

// The corpus of User-Agents, pinned. It is a module without Go code, which
// go.mod cannot hold.
const (
	uapCore    = "github.com/ua-parser/uap-core@v0.18.0"
	uapCoreSum = "h1:nV3Z8uRsYSeT951oyjjb3bKeTa1921wn3DNv2K9Oq/s="
)

// A useCase is one User-Agent of the corpus with what its authors say of it.
// test_device.yaml has family, brand and model; test_os.yaml and test_ua.yaml
// have family and version.
type useCase struct {
	Agent      string `yaml:"user_agent_string"`
	Family     string `yaml:"family"`
	Brand      string `yaml:"brand"`
	Model      string `yaml:"model"`
	Major      string `yaml:"major"`
	Minor      string `yaml:"minor"`
	Patch      string `yaml:"patch"`
	PatchMinor string `yaml:"patch_minor"`
}

// corpus reads one of the corpus's files.
func corpus(t *testing.T, file string) []useCase {
	t.Helper()
	dir := moduleDir(t, uapCore, uapCoreSum)
	data, err := os.ReadFile(filepath.Join(dir, "tests", file))
	if err != nil {
		t.Fatal(err)
	}
	var content struct {
		Cases []useCase `yaml:"test_cases"`
	}
	if err := yaml.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	if len(content.Cases) < 400 {
		t.Fatalf("%s has %d cases", file, len(content.Cases))
	}
	return content.Cases
}

// moduleDir returns where a module lies, which is fetched if it is not there.
func moduleDir(t *testing.T, module, sum string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // outside of any module
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("fetch %s: %v", module, err)
	}
	var got struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Sum != sum {
		t.Fatalf("%s has the sum %s, want %s", module, got.Sum, sum)
	}
	return got.Dir
}
