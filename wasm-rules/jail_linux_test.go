// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// apart reports whether the kernel lets the jail take the network away.
func apart(j *jail) bool { return !j.apart.refused.Load() }

// probe is the compiling process of TestTheJailedProcessSeesNothingOfTheServer:
// it confines itself as CompileMain does and says what it sees.
func probe() int {
	if err := confine(standardLimits); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return jailBroken
	}
	got := sight{Environment: os.Environ(), Limits: map[string]string{}}
	files, _ := filepath.Glob("/proc/self/fd/*")
	for _, file := range files {
		if name, err := os.Readlink(file); err == nil {
			got.Files = append(got.Files, name)
		}
	}
	interfaces, _ := net.Interfaces()
	got.Networks = len(interfaces)
	if stat, err := os.ReadFile("/proc/self/stat"); err == nil {
		_, after, _ := strings.Cut(string(stat), ") ")
		got.Nice = strings.Fields(after)[16]
	}
	limits, _ := os.ReadFile("/proc/self/limits")
	for _, line := range strings.Split(string(limits), "\n") {
		if cells := regexp.MustCompile(` {2,}`).Split(line, -1); len(cells) > 2 {
			got.Limits[cells[0]] = cells[2]
		}
	}
	out, _ := json.Marshal(got)
	fmt.Fprintln(os.Stderr, string(out))
	return jailRefused
}
