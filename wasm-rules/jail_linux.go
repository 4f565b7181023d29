// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
)

// jailNice is how much less than the server a compiler counts.
const jailNice = 10

// ownProgram is the running program, also after its file was replaced: what it
// compiles is only of use to the same version.
func ownProgram() string { return "/proc/self/exe" }

// apartness remembers whether the kernel lets this process start another one
// without a network, which it grants root alone. The way that is open to others
// copies the whole process first: 60 ms for a server of 1 GiB.
type apartness struct{ refused atomic.Bool }

// notAllowed is how kernels, containers and limits say no to a network apart.
var notAllowed = []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.ENOSYS, syscall.ENOSPC}

// start starts what prepare returns in a group of its own, without a network if
// it can. It calls prepare again for a second try.
func (a *apartness) start(prepare func() *exec.Cmd) (*exec.Cmd, error) {
	if !a.refused.Load() {
		cmd, err := startGroup(prepare(), syscall.CLONE_NEWNET)
		if !slices.ContainsFunc(notAllowed, func(e syscall.Errno) bool { return errors.Is(err, e) }) {
			return cmd, err
		}
		a.refused.Store(true)
	}
	return startGroup(prepare(), 0)
}

// startGroup starts a process that is killed with all that it started.
func startGroup(cmd *exec.Cmd, flags uintptr) (*exec.Cmd, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: flags}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd, cmd.Start()
}

// confine gives the process its limits, for good. Hard limits equal to the soft
// ones mean that the kernel kills it without asking.
func confine(l jailLimits) error {
	for _, limit := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"processor time", syscall.RLIMIT_CPU, uint64(l.cpu.Seconds())},
		{"address space", syscall.RLIMIT_AS, l.address},
		{"file size", syscall.RLIMIT_FSIZE, l.file},
		{"open files", syscall.RLIMIT_NOFILE, 32},
		{"core dump", syscall.RLIMIT_CORE, 0},
	} {
		if err := syscall.Setrlimit(limit.resource, &syscall.Rlimit{Cur: limit.value, Max: limit.value}); err != nil {
			return fmt.Errorf("%s: %w", limit.name, err)
		}
	}
	// The group is this process: every thread it has, and those they start.
	if err := syscall.Setpriority(syscall.PRIO_PGRP, 0, jailNice); err != nil {
		return fmt.Errorf("priority: %w", err)
	}
	return nil
}
