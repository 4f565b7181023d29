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

// errNotApart tells that a process could not be started without a network, and
// that the next try is for one that has it.
var errNotApart = errors.New("not apart")

// apartness remembers whether the kernel lets this process start another one
// without a network, which it grants root alone. The way that is open to others
// copies the whole process first: 60 ms for a server of 1 GiB.
type apartness struct{ refused atomic.Bool }

// notAllowed is how kernels, containers and limits say no to a network apart.
var notAllowed = []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.ENOSYS, syscall.ENOSPC}

// start starts a process in a group of its own, without a network if it can.
func (a *apartness) start(cmd *exec.Cmd) error {
	alone := !a.refused.Load()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if alone {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Start()
	if alone && slices.ContainsFunc(notAllowed, func(e syscall.Errno) bool { return errors.Is(err, e) }) {
		a.refused.Store(true)
		return errNotApart
	}
	return err
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
