// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/nearside/nearside/edge"
)

// openLines opens a sink of JSON lines, one file per day, site and rotation.
func openLines(_ context.Context, s *Spec, c Circumstances) (Sink, error) {
	return openFolder(s, linesFormat{s.Gzip}, c)
}

// A linesFormat writes an event as one line, as appendLine tells it.
type linesFormat struct{ gzip bool }

func (l linesFormat) extension() string {
	if l.gzip {
		return ".jsonl.gz"
	}
	return ".jsonl"
}

func (l linesFormat) create(f *os.File) (fileWriter, error) {
	w := &lineWriter{out: bufio.NewWriterSize(f, 64<<10)}
	if l.gzip {
		w.zip = gzip.NewWriter(w.out)
	}
	return w, nil
}

type lineWriter struct {
	out  *bufio.Writer
	zip  *gzip.Writer // nil without compression
	line []byte
}

func (w *lineWriter) add(e *Event) error {
	if err := (linesFormat{}).check(e); err != nil {
		return err
	}
	w.line = append(appendLine(w.line[:0], e), '\n')
	return w.write(w.line)
}

// check refuses an event whose bytes are no JSON object on one line.
func (linesFormat) check(e *Event) error {
	if len(e.JSON) < 2 || e.JSON[0] != '{' || !json.Valid(e.JSON) || bytes.IndexByte(e.JSON, '\n') >= 0 {
		return &refusalError{edge.DeadUndecodable, "the stored event is no JSON object"}
	}
	return nil
}

func (w *lineWriter) write(line []byte) (err error) {
	if w.zip != nil {
		_, err = w.zip.Write(line)
	} else {
		_, err = w.out.Write(line)
	}
	return err
}

func (w *lineWriter) finish() error {
	if w.zip != nil {
		if err := w.zip.Close(); err != nil {
			return err
		}
	}
	return w.out.Flush()
}

func (l linesFormat) holds(f *os.File, drop dropper) (found bool, err error) {
	err = l.each(f, func(_ []byte, person string, seq uint64) error {
		if found = drop(person, seq); found {
			return io.EOF
		}
		return nil
	})
	return found, err
}

func (l linesFormat) copy(to fileWriter, from *os.File, drop dropper) (kept int, err error) {
	err = l.each(from, func(line []byte, person string, seq uint64) error {
		if drop(person, seq) {
			return nil
		}
		kept++
		return to.(*lineWriter).write(line)
	})
	return kept, err
}

// each calls fn with each line, its break included, until it returns io.EOF.
func (l linesFormat) each(f *os.File, fn func(line []byte, person string, seq uint64) error) error {
	in := bufio.NewReaderSize(f, 64<<10)
	if l.gzip {
		zip, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = bufio.NewReaderSize(zip, 64<<10)
	}
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		// The member log is the last one. A line that was changed by somebody else
		// is read whole.
		var told struct {
			Log struct {
				Seq    uint64 `json:"seq"`
				Person string `json:"person"`
			} `json:"log"`
		}
		if at := bytes.LastIndex(line, []byte(`,"log":{`)); at < 0 || json.Unmarshal(append([]byte{'{'}, line[at+1:]...), &told) != nil {
			if err := json.Unmarshal(line, &told); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		switch err := fn(line, told.Log.Person, told.Log.Seq); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
