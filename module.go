// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
)

const moduleUsage = `A module is a rule as WebAssembly. These commands need no node:

  nearside module new DIR --language LANGUAGE     makes the project that an author begins with
  nearside module pack FILE --manifest MANIFEST   writes the manifest into the module
  nearside module check FILE                      what it declares, what it costs, whether it may be uploaded
  nearside module test FILE CASES                 runs it on visits with expected answers
  nearside module sign FILE --site ID --key KEY   signs it for a site, in minisign's format
  nearside module key FILE                        makes a pair of keys to sign with

These speak to the node on --data, to the one at --url with --token, or to the
files of --data when no node runs there. Each needs --site:

  nearside module upload FILE                     brings it to the site
  nearside module list                            the modules that the site may publish
  nearside module preview NAME --slot --rung      a link that shows what it would do
  nearside module shadow NAME --slot --rung       runs it beside the live one, unseen
  nearside module publish NAME --slot --rung      shows it, to everybody or to --share of the visitors
  nearside module rollout NAME --slot --share     shows it to more of them, or fewer
  nearside module remove NAME --slot              takes it out of a slot
  nearside module rollback                        publishes the release before the live one again
  nearside module status                          what is live, how it does, what shadows would change
  nearside module history                         the releases that were live
  nearside module counts                          shown and clicked by slot and variant
  nearside module audit                           who did what
  nearside module proposals                       changes that wait for a second person
  nearside module approve ID, reject ID           decides about one

NAME is a module's name, or NAME@VERSION. nearside module WORD --help lists a
command's settings.
`

// moduleCommands are the second words of nearside module.
var moduleCommands = map[string]func(ctx context.Context, args []string, io stdio) error{
	"new":       newCommand,
	"pack":      packCommand,
	"check":     checkCommand,
	"test":      testCommand,
	"sign":      signCommand,
	"key":       keyCommand,
	"upload":    uploadCommand,
	"list":      siteReport("list", "/modules", nil, printUploads),
	"preview":   previewCommand,
	"shadow":    placeCommand("shadow"),
	"publish":   placeCommand("publish"),
	"rollout":   rolloutCommand,
	"remove":    removeCommand,
	"rollback":  rollbackCommand,
	"status":    siteReport("status", "/status", nil, printStatus),
	"history":   siteReport("history", "/history", nil, printHistory),
	"counts":    siteReport("counts", "/counts", countFlags, printCounts),
	"audit":     siteReport("audit", "/audit", auditFlags, printAudit),
	"proposals": siteReport("proposals", "/proposals", nil, printProposals),
	"approve":   approveCommand,
	"reject":    rejectCommand,
}

func moduleCommand(ctx context.Context, args []string, io stdio) error {
	if len(args) == 0 || isHelp(args[0]) {
		fmt.Fprint(io.out, moduleUsage)
		return nil
	}
	run, ok := moduleCommands[args[0]]
	if !ok {
		return usagef("want nearside module with one of %s", strings.Join(slices.Sorted(maps.Keys(moduleCommands)), ", "))
	}
	return run(ctx, args[1:], io)
}

// moduleRef reads NAME or NAME@VERSION.
func moduleRef(text string) edge.ModuleRef {
	name, version, _ := strings.Cut(text, "@")
	return edge.ModuleRef{Name: name, Version: version}
}

// printJSON writes a value as the API does, indented.
func printJSON(io stdio, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.out, "%s\n", text)
	return err
}
