// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nearside/nearside/edge"
)

// Find counts the events of a person in the files that a spec's sink has
// finished, by their key and by texts, while the sink runs or not. A webhook's
// receiver cannot be looked into: it has none. The error names the first file that
// cannot be read; the others count.
func Find(ctx context.Context, s *Spec, t edge.Traces) (n uint64, err error) {
	d := &folder{spec: s}
	switch s.Kind {
	case "jsonl":
		d.format = linesFormat{s.Gzip}
	case "parquet":
		d.format = parquetFormat{}
	default:
		return 0, nil
	}
	walked := d.walk(t.Site, func(name string) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !strings.HasSuffix(name, d.format.extension()) {
			return nil
		}
		f, openErr := os.Open(name)
		if errors.Is(openErr, fs.ErrNotExist) {
			return nil // it was replaced or has expired
		}
		if openErr == nil {
			var found uint64
			found, openErr = d.format.find(f, &t)
			n += found
			f.Close()
		}
		if openErr != nil && err == nil {
			err = fmt.Errorf("search %s: %w", filepath.Base(name), openErr)
		}
		return nil
	})
	return n, errors.Join(err, walked)
}

func (l linesFormat) find(f *os.File, t *edge.Traces) (n uint64, err error) {
	key := t.Key.String()
	err = l.each(f, func(line []byte, person string, _ uint64) error {
		if person == key || holdsText(string(line), t.Texts) {
			n++
		}
		return nil
	})
	return n, err
}

func (parquetFormat) find(f *os.File, t *edge.Traces) (n uint64, err error) {
	key := t.Key.String()
	err = eachRow(f, func(r *row) error {
		text, err := json.Marshal(r)
		if err == nil && (r.Person == key || holdsText(string(text), t.Texts)) {
			n++
		}
		return err
	})
	return n, err
}

func holdsText(in string, texts []string) bool {
	for _, text := range texts {
		if text != "" && strings.Contains(in, text) {
			return true
		}
	}
	return false
}
