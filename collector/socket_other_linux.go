// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 && !arm64

package collector

import "syscall"

// receive reads from a socket that does not block.
func receive(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }

// send writes to it.
func send(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }
