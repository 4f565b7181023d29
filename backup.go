// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/stream"
)

// backupFiles are what a backup holds of the data directory beside the stores: key
// 0, without which no visitor's state could be read and no other key, and modules
// that the operator put there.
var backupFiles = []string{keyFile, "modules"}

// standard is how --to and --from name standard output and input.
const standard = "-"

// backupCommand writes a backup of a running node, or of a data directory.
func backupCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("backup --to FILE [settings]", io.out, "data", "rules.modules", "rules.keys")
	var to string
	fs.StringVar(&to, "to", "", "the `file` to write, which must not be there; - for standard output")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if to == "" {
		return usagef("--to is missing: the file to write, or -")
	}
	node, err := openClient(&cfg, io)
	if err != nil {
		return err
	}
	var report stream.BackupReport
	if to == standard {
		report, err = node.backup(ctx, io.out)
	} else {
		err = writeNew(to, func(f *os.File) (err error) {
			report, err = node.backup(ctx, f)
			return err
		})
	}
	if err := errors.Join(err, node.Close()); err != nil {
		return err
	}
	fmt.Fprintf(io.err, "Backed up: %s\n", describeBackup(report))
	return nil
}

// restoreCommand makes a data directory from a backup.
func restoreCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("restore --from FILE --data DIR", io.out, "data")
	var from, erasures string
	fs.StringVar(&erasures, "erasures", "", "a `file` of nearside erasure list --json: who asked to be erased since the backup was made is erased before anybody can open the directory")
	fs.StringVar(&from, "from", "", "the backup's `file`; - for standard input")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if from == "" {
		return usagef("--from is missing: the backup's file, or -")
	}
	var asked []edge.Erasure
	if erasures != "" {
		var err error
		if asked, err = readErasures(erasures); err != nil {
			return err
		}
	}
	in := os.Stdin
	if from != standard {
		var err error
		if in, err = os.Open(from); err != nil {
			return err
		}
		defer in.Close()
	}
	options := stream.Options{Dir: cfg.Data, Node: cfg.Node, Logger: io.logger()}
	report, err := stream.Restore(ctx, in, options, backupFiles...)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Restored to %s, read again and found the same: %s\n", cfg.Data, describeBackup(report))
	if len(asked) == 0 {
		return nil
	}
	s, err := stream.Open(options)
	if err != nil {
		return err
	}
	n, err := askErased(ctx, s, asked)
	if err := errors.Join(err, s.Close(context.WithoutCancel(ctx))); err != nil {
		return fmt.Errorf("%s is restored, and who was erased since the backup is not: do not open it before restore has ended well: %w", cfg.Data, err)
	}
	fmt.Fprintf(io.out, "Erased again: %d persons who asked since the backup was made.\n", n)
	return nil
}

// describeBackup says what a backup holds.
func describeBackup(r stream.BackupReport) string {
	var parts []string
	for name, n := range r.Stores {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(parts)
	return fmt.Sprintf("data of format %d, written %s by %s; messages: %s; files: %s",
		r.Format, clock(r.At), r.Program, strings.Join(parts, ", "), strings.Join(r.Files, ", "))
}

// writeNew writes a file whole or not at all, and none over another. Only its
// owner may read it.
func writeNew(name string, write func(*os.File) error) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there already", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), name) // fails when another has come meanwhile
}

// backup copies a backup to w and checks it on its way.
func (c *apiClient) backup(ctx context.Context, w io.Writer) (report stream.BackupReport, err error) {
	c.http.Timeout = 0
	res, err := c.do(ctx, apiRequest{method: http.MethodGet, path: "/v1/backup"})
	if err != nil {
		return report, err
	}
	defer res.Body.Close()
	copied := io.TeeReader(res.Body, w)
	if report, err = stream.CheckBackup(copied); err != nil {
		return report, fmt.Errorf("%w; the node's log says why", err)
	}
	_, err = io.Copy(io.Discard, copied) // the archive's own end
	return report, err
}
