// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

const (
	// maxFeedBytes bounds a feed, and so the memory that an import takes.
	maxFeedBytes = 256 << 20
	// maxFeedLineBytes leaves room for how a client spells an item.
	maxFeedLineBytes = 2 * edge.MaxItemBytes
	// maxRefusedLines is how many refused lines an answer names; it counts all.
	maxRefusedLines = 100
	// lineGrace is the time in which a part of a feed has to arrive.
	lineGrace = time.Minute
)

var errItemsFull = &refusal{409, publishing.CodeQuota, "items", edge.ErrItemsFull.Error()}

// A refusedLine is a line of a feed that was not taken.
type refusedLine struct {
	Line  int    `json:"line"`
	Code  string `json:"code"`
	Field string `json:"field,omitempty"`
}

// importItems answers PUT /v1/sites/{site}/items.
func (c *Console) importItems(q *call) error {
	query := q.r.URL.Query()
	r := feedReader{seen: make(map[string]bool)}
	for name, flag := range map[string]*bool{"full": &r.feed.Full, "shrink": &r.feed.Shrink} {
		switch value := query.Get(name); value {
		case "true":
			*flag = true
		case "", "false":
		default:
			return badRequest(name, "%s is true or false", name)
		}
	}
	if err := r.read(q); err != nil {
		return err
	}
	out, err := q.desk().ImportItems(q.ctx(), q.actor, q.site, r.feed)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, struct {
		*edge.ItemImport
		Refused      int           `json:"refused"`
		RefusedLines []refusedLine `json:"refusedLines,omitempty"`
	}{out, r.refused, r.lines})
}

// A feedReader reads a feed line by line.
type feedReader struct {
	feed    edge.ItemFeed
	seen    map[string]bool
	refused int
	lines   []refusedLine
}

// read reads lines to the last one, which says how many there were: a feed that
// was cut off changes nothing.
func (r *feedReader) read(q *call) error {
	lines := bufio.NewReaderSize(q.r.Body, 64<<10)
	wait := http.NewResponseController(q.w)
	for number := 1; ; number++ {
		if number%1000 == 1 {
			_ = wait.SetReadDeadline(time.Now().Add(lineGrace)) // without one there is none to move
		}
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return badRequest("end", "the feed was cut off: its last line is not {\"end\": the number of lines before it}; nothing was changed")
		}
		if err != nil {
			return unread(err)
		}
		end, err := r.take(number, line)
		if err != nil {
			return err
		}
		if end >= 0 {
			if _, err := lines.ReadByte(); !errors.Is(err, io.EOF) || end != number-1 {
				return badRequest("end", "the feed is not whole: it ends after %d lines and says %d; nothing was changed", number-1, end)
			}
			q.arrived()
			return nil
		}
	}
}

// A feedLine is an item, or one of the two other things that a line can be.
type feedLine struct {
	edge.CatalogueItem
	Keep string `json:"keep"`
	End  *int   `json:"end"`
}

// take reads one line; end is -1 unless it is the last one.
func (r *feedReader) take(number int, line []byte) (end int, err error) {
	var l feedLine
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	refusal := &edge.ItemError{Code: edge.ItemTooLong}
	if line != nil {
		refusal = decodeFeedLine(decoder, &l)
	}
	switch {
	case refusal == nil && l.End != nil:
		return *l.End, nil
	case refusal == nil && l.Keep != "":
		r.keep(l.Keep)
		return -1, nil
	case refusal == nil:
		err := l.Check()
		if known, ok := errors.AsType[*edge.ItemError](err); ok {
			refusal = known
		} else if r.seen[l.ID] {
			refusal = &edge.ItemError{Code: edge.ItemRepeated, Field: "id"}
		}
	}
	if refusal != nil {
		r.refused++
		if len(r.lines) < maxRefusedLines {
			r.lines = append(r.lines, refusedLine{number, refusal.Code, refusal.Field})
		}
		r.keep(l.ID)
		return -1, nil
	}
	if len(r.feed.Items) == edge.MaxItems {
		return -1, errItemsFull
	}
	r.seen[l.ID] = true
	r.feed.Items = append(r.feed.Items, l.CatalogueItem)
	return -1, nil
}

// keep leaves an item as it is.
func (r *feedReader) keep(id string) {
	if edge.ValidItemID(id) && len(r.feed.Keep) < edge.MaxItems {
		r.feed.Keep = append(r.feed.Keep, id)
	}
}

// decodeFeedLine says what is wrong with a line as JSON.
func decodeFeedLine(decoder *json.Decoder, l *feedLine) *edge.ItemError {
	err := decoder.Decode(l)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &edge.ItemError{Code: edge.ItemMalformed, Field: strings.TrimPrefix(wrong.Field, "CatalogueItem.")}
	}
	if err != nil && strings.HasPrefix(err.Error(), "json: unknown field") {
		return &edge.ItemError{Code: edge.ItemUnknown}
	}
	return &edge.ItemError{Code: edge.ItemMalformed}
}

// readLine returns the next line without its end, nil for one that is too long.
// Empty lines are passed over by nobody: they are lines.
func readLine(from *bufio.Reader) (line []byte, err error) {
	long := false
	for {
		part, err := from.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			long = long || len(line)+len(part) > maxFeedLineBytes
			if !long {
				line = append(line, part...)
			}
			continue
		case errors.Is(err, io.EOF) && len(line)+len(part) == 0 && !long:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		}
		if long || len(line)+len(part) > maxFeedLineBytes {
			return nil, nil
		}
		return bytes.TrimRight(append(line, part...), "\r\n"), nil
	}
}

// items answers GET /v1/sites/{site}/items.
func (c *Console) items(q *call) error {
	limit, err := q.number("limit", 100)
	if err != nil {
		return err
	}
	page, err := q.desk().Items(q.ctx(), q.actor, q.site, q.r.URL.Query().Get("after"), int(limit))
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, page)
}

// item answers GET /v1/sites/{site}/items/{item}.
func (c *Console) item(q *call) error {
	it, err := q.desk().Item(q.ctx(), q.actor, q.site, q.r.PathValue("item"))
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, it)
}

// deleteItem answers DELETE /v1/sites/{site}/items/{item}.
func (c *Console) deleteItem(q *call) error {
	if err := q.desk().DeleteItem(q.ctx(), q.actor, q.site, q.r.PathValue("item")); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
