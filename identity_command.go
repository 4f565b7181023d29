// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/nearside/nearside/publishing"
)

const identityLine = "identity key --site ID | identity list --site ID | identity revoke KEY --site ID [settings]"

// identityCommand makes, lists and ends the keys by which a site says who has signed
// in.
func identityCommand(ctx context.Context, args []string, io stdio) error {
	words := map[string]func(context.Context, []string, stdio) error{
		"key": identityKeyCommand, "list": listIdentityCommand, "revoke": revokeIdentityCommand,
	}
	if len(args) == 0 || words[args[0]] == nil && !isHelp(args[0]) {
		return usagef("want nearside %s", identityLine)
	}
	if isHelp(args[0]) {
		fmt.Fprintf(io.out, "Usage: nearside %s\n\nnearside identity key --help and so on list the settings.\n", identityLine)
		return nil
	}
	return words[args[0]](ctx, args[1:], io)
}

// siteFlag adds --site, which is needed.
func siteFlag(fs *flag.FlagSet, site *string) {
	fs.StringVar(site, "site", "", "the `ID` of the site")
}

func identityKeysPath(site string) string {
	return "/v1/sites/" + url.PathEscape(site) + "/identity-keys"
}

func identityKeyCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("identity key --site ID [settings]", io.out, clientSettings...)
	var site, public string
	siteFlag(fs, &site)
	fs.StringVar(&public, "public", "", "a `file` with a public key in PEM, Ed25519 or P-256, to check tokens with in place of a shared secret")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if site == "" {
		return usagef("--site is missing: the ID of a site")
	}
	ask := map[string]string{}
	if public != "" {
		text, err := readFile(public, maxKeyBytes)
		if err != nil {
			return fmt.Errorf("--public: %w", err)
		}
		ask["public"] = string(text)
	}
	var made struct {
		Secret string                 `json:"secret"`
		Key    publishing.IdentityKey `json:"key"`
	}
	if err := callNode(ctx, &cfg, io, apiRequest{method: http.MethodPost, path: identityKeysPath(site), json: ask}, &made); err != nil {
		return err
	}
	if made.Secret == "" {
		fmt.Fprintf(io.err, "Key %s of site %s checks tokens by %s.\n", made.Key.ID, site, made.Key.Algorithm)
		return nil
	}
	// The secret alone goes to standard output, for scripts.
	fmt.Fprintln(io.out, made.Secret)
	fmt.Fprintf(io.err, "Key %s of site %s. This is the only time that it is shown: 32 bytes as base64url, for %s (docs/SERVER.md).\n", made.Key.ID, site, made.Key.Algorithm)
	return nil
}

func listIdentityCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("identity list --site ID [settings]", io.out, clientSettings...)
	var site string
	siteFlag(fs, &site)
	asJSON := fs.Bool("json", false, "print the API's answer as JSON")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if site == "" {
		return usagef("--site is missing: the ID of a site")
	}
	var keys []publishing.IdentityKey
	if err := callNode(ctx, &cfg, io, apiRequest{method: http.MethodGet, path: identityKeysPath(site)}, &keys); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(io, keys)
	}
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("KEY", "ALGORITHM", "MADE BY", "AT")
	for _, k := range keys {
		t.row(k.ID, k.Algorithm, k.By, clock(k.At))
	}
	return t.Flush()
}

func revokeIdentityCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("identity revoke KEY --site ID [settings]", io.out, clientSettings...)
	var site string
	siteFlag(fs, &site)
	if err := cfg.parse(fs, args, "KEY"); err != nil {
		return err
	}
	if site == "" {
		return usagef("--site is missing: the ID of a site")
	}
	r := apiRequest{method: http.MethodDelete, path: identityKeysPath(site) + "/" + url.PathEscape(strings.TrimSpace(fs.Arg(0)))}
	if err := callNode(ctx, &cfg, io, r, nil); err != nil {
		return err
	}
	fmt.Fprintln(io.out, "Revoked.")
	return nil
}
