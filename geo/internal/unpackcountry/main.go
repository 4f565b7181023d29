// SPDX-License-Identifier: Apache-2.0

// Command unpackcountry writes the country database that is built into the
// program as a file that other programs read, so that a bench gives both the
// same data.
//
//	unpackcountry PACKED FILE
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/nearside/nearside/geo/internal/pack"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "unpackcountry:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("say the packed database and the file to write")
	}
	packed, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	database, err := pack.Unpack(packed)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return os.WriteFile(args[1], database, 0o644)
}
