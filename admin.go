// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// adminSocket is the admin listener's name in the data directory. Who can open
// it may do everything: it is 0600 in a directory of 0700.
const adminSocket = "admin.sock"

// listenAdmin listens on the admin socket. A socket that a dead process left
// behind is replaced; one that answers belongs to a running node.
func listenAdmin(data string) (net.Listener, error) {
	path := filepath.Join(data, adminSocket)
	if dialAdmin(data) != nil {
		return nil, fmt.Errorf("listen: a node is running on %s", data)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}
