// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nearside/nearside/edge/consent/gpp"
	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/tcf"
)

const consentLine = "consent decode STRING | explain FILE | prompt SITE [settings]"

// consentCommand tells what consent strings say and what signals grant, and prints
// the consent prompt. It needs no node.
func consentCommand(ctx context.Context, args []string, io stdio) error {
	return wordOf(ctx, args, io, consentLine, map[string]subcommand{
		"decode": consentDecodeCommand, "explain": consentExplainCommand, "prompt": consentPromptCommand,
	})
}

// A consentString is a decoded consent string of one of the kinds.
type consentString struct {
	tcf *tcf.String
	gpp *gpp.String
	usp *gpp.USPrivacy
}

// readConsentString tells the kind of a string by how it begins: GPP with its
// type, D; US Privacy with its version, 1; everything else must be a TC string.
func readConsentString(text string) (s consentString, err error) {
	switch {
	case strings.HasPrefix(text, "D"):
		s.gpp = new(gpp.String)
		return s, s.gpp.Decode(text)
	case strings.HasPrefix(text, "1"):
		s.usp = new(gpp.USPrivacy)
		return s, s.usp.Decode(text)
	default:
		s.tcf = new(tcf.String)
		return s, s.tcf.Decode(text)
	}
}

// model is the string as JSON has it.
func (s *consentString) model() any {
	switch {
	case s.gpp != nil:
		return s.gpp.Model()
	case s.usp != nil:
		return gpp.Model{{Name: "uspv1", Value: s.usp.Model()}}
	default:
		return s.tcf.Model()
	}
}

// A consentFault is what is wrong with a string, as JSON has it.
type consentFault struct {
	Error struct {
		Code    packed.Code `json:"code"`
		Field   string      `json:"field"`
		Message string      `json:"message"`
	} `json:"error"`
}

// consentDecodeCommand prints what a TC string, a GPP string or a US Privacy
// string says, whether or not a node would act on it.
func consentDecodeCommand(_ context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("consent decode STRING (- reads it from standard input)", io.out, noSettings)
	asJSON := fs.Bool("json", false, "print JSON with the field names of the IAB's libraries")
	if err := cfg.parse(fs, args, "STRING"); err != nil {
		return err
	}
	text, err := argument(fs.Arg(0), packed.MaxBytes)
	if err != nil {
		return err
	}
	s, err := readConsentString(strings.TrimSpace(text))
	if refused, ok := errors.AsType[*packed.Error](err); ok && *asJSON {
		var fault consentFault
		fault.Error.Code, fault.Error.Field, fault.Error.Message = refused.Code, refused.Field, refused.Error()
		return errors.Join(printJSON(io, fault), err)
	}
	switch {
	case err != nil:
		return err
	case *asJSON:
		return printJSON(io, s.model())
	default:
		return printConsentString(io, &s)
	}
}

// argument is a word of the command line, or standard input for "-", of which
// more than most bytes and some white space are not read: whoever parses it
// refuses what is longer.
func argument(word string, most int) (string, error) {
	if word != standard {
		return word, nil
	}
	text, err := readAtMost(os.Stdin, most+1024)
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return string(text), nil
}

func readAtMost(in io.Reader, most int) ([]byte, error) {
	return io.ReadAll(io.LimitReader(in, int64(most)))
}
