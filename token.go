// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/publishing"
)

const tokenLine = "token create NAME --role ROLE --site ID | token list | token revoke TOKEN [settings]"

// tokenCommand hands out, lists and ends tokens.
func tokenCommand(ctx context.Context, args []string, io stdio) error {
	words := map[string]func(context.Context, []string, stdio) error{
		"create": createTokenCommand, "list": listTokensCommand, "revoke": revokeTokenCommand,
	}
	if len(args) == 0 || words[args[0]] == nil && !isHelp(args[0]) {
		return usagef("want nearside %s", tokenLine)
	}
	if isHelp(args[0]) {
		fmt.Fprintf(io.out, "Usage: nearside %s\n\nnearside token create --help and so on list the settings.\n", tokenLine)
		return nil
	}
	return words[args[0]](ctx, args[1:], io)
}

func createTokenCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("token create NAME --role ROLE --site ID [settings]", io.out, clientSettings...)
	var role string
	var sites []string
	var valid time.Duration
	fs.StringVar(&role, "role", "", "what it may do: `"+strings.Join(publishing.Roles(), ", ")+"`; server sends events and asks for decisions and no more, of the others each may what those before it may")
	fs.Func("site", "the `ID` of a site at which it counts, * for every one; may be given several times", func(s string) error {
		sites = append(sites, s)
		return nil
	})
	fs.Var((*span)(&valid), "valid", "how long it counts, a `duration` like 720h; 0s is until it is revoked")
	if err := cfg.parse(fs, args, "NAME"); err != nil {
		return err
	}
	if _, err := publishing.ParseRole(role); err != nil {
		return usagef("--role: %v", err)
	}
	if len(sites) == 0 {
		return usagef("--site is missing: the ID of a site, or * for every one")
	}
	ask := map[string]any{"name": fs.Arg(0), "role": role, "sites": sites}
	if valid > 0 {
		ask["expires"] = time.Now().Add(valid)
	}
	var made struct {
		Secret string           `json:"secret"`
		Token  publishing.Token `json:"token"`
	}
	if err := callNode(ctx, &cfg, io, apiRequest{method: http.MethodPost, path: "/v1/tokens", json: ask}, &made); err != nil {
		return err
	}
	// The secret alone goes to standard output, for scripts.
	fmt.Fprintln(io.out, made.Secret)
	use := "NEARSIDE_TOKEN takes it"
	if made.Token.Actor.Role == publishing.Server {
		use = "a server sends it as Authorization: Bearer (docs/SERVER.md)"
	}
	fmt.Fprintf(io.err, "Token %s of %s. This is the only time that it is shown; %s.\n", made.Token.ID, made.Token.Actor.Name, use)
	return nil
}

func listTokensCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("token list [settings]", io.out, clientSettings...)
	asJSON := fs.Bool("json", false, "print the API's answer as JSON")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	var tokens []publishing.Token
	if err := callNode(ctx, &cfg, io, apiRequest{method: http.MethodGet, path: "/v1/tokens"}, &tokens); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(io, tokens)
	}
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("TOKEN", "NAME", "ROLE", "SITES", "MADE BY", "AT", "EXPIRES")
	for _, token := range tokens {
		t.row(token.ID, token.Actor.Name, token.Actor.Role, strings.Join(token.Actor.Sites, " "), token.By, clock(token.At), clock(token.Expires))
	}
	return t.Flush()
}

func revokeTokenCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("token revoke TOKEN [settings]", io.out, clientSettings...)
	if err := cfg.parse(fs, args, "TOKEN"); err != nil {
		return err
	}
	r := apiRequest{method: http.MethodDelete, path: "/v1/tokens/" + url.PathEscape(fs.Arg(0))}
	if err := callNode(ctx, &cfg, io, r, nil); err != nil {
		return err
	}
	fmt.Fprintln(io.out, "Revoked.")
	return nil
}

// callNode sends one request to the node and decodes its answer.
func callNode(ctx context.Context, cfg *Config, io stdio, r apiRequest, answer any) error {
	client, err := openClient(cfg, io)
	if err != nil {
		return err
	}
	if err := errors.Join(client.call(ctx, r, answer), client.Close()); err != nil {
		return err
	}
	if r.method != http.MethodGet {
		client.wrote(io)
	}
	return nil
}
