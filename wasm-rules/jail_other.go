// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package wasmrules

import (
	"os"
	"os/exec"
)

// ownProgram is the running program, unless its file was replaced.
func ownProgram() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// apartness is nothing here: only Linux takes a process's network away.
type apartness struct{}

func (apartness) start(prepare func() *exec.Cmd) (*exec.Cmd, error) {
	cmd := prepare()
	return cmd, cmd.Start()
}

// confine does nothing here: the wall clock and the garbage collector's limit
// are all that bounds a compilation.
func confine(jailLimits) error { return nil }
