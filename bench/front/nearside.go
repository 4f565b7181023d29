// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

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
	_, err := run(ctx, repository, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
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
