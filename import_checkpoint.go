// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
)

// A checkpoint is how far an import has come: all before Place is stored, or was
// refused and is in the report.
type checkpoint struct {
	V    int    `json:"v"`
	Site string `json:"site"`
	// Format and Mapping are how the file was read: another way would give other
	// events.
	Format  string            `json:"format"`
	Mapping map[string]string `json:"mapping,omitempty"`
	// Proof is a hash of the file's first bytes and of those before Place: the
	// file may have grown since, but not changed.
	Proof string `json:"proof"`
	Place place  `json:"place"`

	Lines    int `json:"lines"`
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"`
	// Report is the report's size then: what a later run wrote is written again.
	Report int64 `json:"report"`
}

// checkpointVersion is the only one there is.
const checkpointVersion = 1

// maxCheckpointBytes bounds the file: a header is at most one record.
const maxCheckpointBytes = 4 * maxRecordBytes

// proofBytes are how many bytes at the beginning and before the place prove that a
// file is the one.
const proofBytes = 64 << 10

// prove hashes what a file begins with and what lies before offset.
func prove(file io.ReaderAt, offset int64) (string, error) {
	hash := sha256.New()
	head := min(offset, proofBytes)
	tail := max(head, offset-proofBytes)
	for _, part := range []*io.SectionReader{io.NewSectionReader(file, 0, head), io.NewSectionReader(file, tail, offset-tail)} {
		n, err := io.Copy(hash, part)
		if err != nil {
			return "", err
		}
		if n < part.Size() {
			return "", io.ErrUnexpectedEOF
		}
	}
	fmt.Fprintf(hash, "%d", offset)
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// errOtherFile reports a checkpoint of another file, or of this one in another
// form.
var errOtherFile = errors.New("it is of another file, site, format or mapping; --restart begins anew")

// readCheckpoint returns the checkpoint at path, if it is one of file read as want
// says; nil if there is none.
func readCheckpoint(path string, file io.ReaderAt, want checkpoint) (*checkpoint, error) {
	text, err := readFile(path, maxCheckpointBytes)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := new(checkpoint)
	if err := json.Unmarshal(text, c); err != nil || c.V != checkpointVersion || c.Place.Offset < 0 || c.Place.Line < 0 {
		return nil, fmt.Errorf("checkpoint %s cannot be read; --restart begins anew", path)
	}
	proof, err := prove(file, c.Place.Offset)
	if err != nil || proof != c.Proof || c.Site != want.Site || c.Format != want.Format || !maps.Equal(c.Mapping, want.Mapping) {
		return nil, fmt.Errorf("checkpoint %s: %w", path, errOtherFile)
	}
	return c, nil
}

// write replaces the checkpoint at path, so that it is always a whole one.
func (c *checkpoint) write(path string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(path), ".checkpoint-*")
	if err != nil {
		return err
	}
	_, err = next.Write(append(text, '\n'))
	err = errors.Join(err, next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}
