// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nearside/nearside/bench/traffic"
)

// repository is where the product's sources are, from this folder's module.
const repository = "../.."

// programOr returns a program's absolute path; without one it builds the product
// as it is shipped.
func programOr(ctx context.Context, dir, program string) (string, error) {
	if program != "" {
		return filepath.Abs(program)
	}
	program = filepath.Join(dir, "nearside")
	_, err := run(ctx, repository, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-pgo", "shipped.pgo", "-ldflags", "-s -w", "-o", program, ".")
	return program, err
}

// startNearside starts a node with the corpus's site live on it. The client is
// the proxy that says whom it speaks for.
func startNearside(ctx context.Context, dir, program string, c *traffic.Corpus) (*server, error) {
	files, data := filepath.Join(dir, "site"), filepath.Join(dir, "data")
	if err := c.WriteSite(files); err != nil {
		return nil, err
	}
	s, err := start("nearside", netip.AddrPort{}, program, "serve", "--addr", "127.0.0.1:0", "--data", data, "--http.proxies", "127.0.0.1")
	if err != nil {
		return nil, err
	}
	if _, err := run(ctx, dir, program, "apply", "--data", data, files); err != nil {
		s.stop()
		return nil, fmt.Errorf("publish the site: %w", err)
	}
	return s, nil
}

// profile begins to write the node's CPU profile to a file, and returns what waits
// for it.
func (h *house) profile(ctx context.Context, file string, length time.Duration) (wait func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	to, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		err := h.node.fetch(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%.0f", max(1, min(length.Seconds(), 600))), func(from io.Reader) error {
			_, err := io.Copy(to, from)
			return err
		})
		done <- errors.Join(err, to.Close())
	}()
	return func() error { return <-done }, nil
}

// An operator asks a node over its socket.
type operator struct{ socket string }

// fetch gets an address and reads what it answers.
func (o operator) fetch(ctx context.Context, address string, read func(io.Reader) error) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", o.socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node"+address, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, res.Status)
	}
	return read(res.Body)
}

// operatorOf returns who asks the node whose files are in dir.
func operatorOf(dir string) operator { return operator{filepath.Join(dir, "data", "admin.sock")} }

// serverKey makes a key for the site's own servers.
func serverKey(ctx context.Context, dir, program string) (string, error) {
	said, err := run(ctx, dir, program, "token", "create", "bench", "--role", "server", "--site", traffic.Site, "--data", filepath.Join(dir, "data"))
	if err != nil {
		return "", err
	}
	for _, word := range strings.Fields(said) {
		if strings.HasPrefix(word, "near_") {
			return word, nil
		}
	}
	return "", fmt.Errorf("no key in %q", said)
}
