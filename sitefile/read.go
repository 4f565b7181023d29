// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/nearside/nearside/edge"
)

// Files are the site files of a directory as they were read. They are not
// changed by any method, and may be used by many goroutines at once.
type Files struct {
	// Document is the release that the files are. Its slots are in the order of
	// their names and its variants in that of the slots, wherever they stand;
	// audiences, campaigns, fields, modules, rules and a slot's variants are in
	// the order of files and lines. Number, Compiled and Inputs are not set.
	Document edge.ReleaseDocument

	files []*file
	index index
}

// Read reads the site files of a directory: *.yaml and *.yml in it and in its
// folders, in the order of their paths. Files and folders whose names begin with
// a dot are not its.
//
// An error of Findings holds all that is wrong with all files; then the Files are
// what could be read of them, never nil.
func Read(dir fs.FS) (*Files, error) {
	contents, err := gather(dir)
	if err != nil {
		return &Files{}, err
	}
	return read(contents)
}

// read reads files, at least one.
func read(contents []content) (*Files, error) {
	out := &Files{}
	var findings Findings
	for _, c := range contents {
		f, wrong := parse(c.name, c.content)
		findings = append(findings, wrong...)
		out.files = append(out.files, f)
	}
	if len(findings) > 0 {
		return out, findings.sorted() // what else is wrong would be guessed
	}
	for _, f := range out.files {
		if f.root != nil {
			findings.check(f.root, siteShape, "a site file")
		}
	}
	d := decoder{findings: findings, index: newIndex()}
	d.decode(out.files)
	out.Document, out.index = d.doc, d.index
	return out, d.findings.sorted().err()
}

// A content is a file before it is parsed.
type content struct {
	name    string
	content []byte
}

// gather reads the files within bounds.
func gather(dir fs.FS) ([]content, error) {
	var out []content
	bytes, marks := 0, 0
	limit := func(name, format string, args ...any) error {
		return Findings{{File: name, Code: CodeLimit, Message: fmt.Sprintf(format, args...)}}
	}
	err := fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(path.Base(name), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir() && strings.Count(name, "/") >= maxFolders:
			return limit(name, "a folder in more than %d others", maxFolders)
		case entry.IsDir() || !isSiteFile(name):
			return nil
		case len(out) == MaxFiles:
			return limit(name, "the directory holds more than %d files", MaxFiles)
		}
		text, err := readBounded(dir, name, MaxBytes-bytes)
		if err != nil {
			return err
		}
		if bytes += len(text); bytes > MaxBytes {
			return limit(name, "the files hold more than %d bytes", MaxBytes)
		}
		if marks += countMarks(text); marks > maxMarks {
			return limit(name, "the files hold more than %d values", maxMarks)
		}
		out = append(out, content{name, text})
		return nil
	})
	if err == nil && len(out) == 0 {
		err = Findings{{Code: CodeMissing, Message: "there is no file *.yaml or *.yml in the directory"}}
	}
	return out, err
}

func isSiteFile(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// readBounded reads a file, and one byte more than it may hold where it holds
// more.
func readBounded(dir fs.FS, name string, most int) ([]byte, error) {
	f, err := dir.Open(name) // a link is followed: that is how some mount files
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return io.ReadAll(io.LimitReader(f, int64(most)+1))
}

// countMarks counts the bytes that may begin a value. YAML's nodes take hundreds
// of bytes each, so their number is bounded before there are any.
func countMarks(text []byte) int {
	n := 0
	for _, mark := range []string{"\n", ",", "[", "{", ":", "- ", "&", "*", "!"} {
		n += bytes.Count(text, []byte(mark))
	}
	return n
}

// Site returns the site that a directory's files are of, "" where that cannot be
// told. It checks nothing.
func Site(dir fs.FS) string {
	contents, err := gather(dir)
	if err != nil {
		return ""
	}
	for _, c := range contents {
		if f, _ := parse(c.name, c.content); f.root.get("site") != nil {
			return f.root.str("site")
		}
	}
	return ""
}
