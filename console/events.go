// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

const (
	// beatEvery is how often a stream that has nothing to say sends an empty
	// line: only by writing can it find out that nobody listens any more.
	beatEvery = 5 * time.Second
	// lineTime is how long a client may leave what is written unread.
	lineTime = 30 * time.Second
)

// events answers GET /v1/events with stored events as JSON lines. Empty lines
// mean nothing. An error after the first line ends the stream with a line
// {"error":…}.
func (c *Console) events(q *call) error {
	if c.options.Events == nil {
		return errNotFound
	}
	query, err := parseEventQuery(q.r.URL.Query(), c.options.Now())
	if err != nil {
		return err
	}
	if c.ending.Err() != nil {
		return errEnding
	}
	ctx, cancel := context.WithCancel(q.ctx())
	defer context.AfterFunc(c.ending, cancel)()
	q.arrived()
	control := http.NewResponseController(q.w)
	q.w.Header().Set("Content-Type", "application/x-ndjson")
	q.w.WriteHeader(http.StatusOK)
	_ = control.Flush() // a client that follows may wait long for the first line

	lines := &lineWriter{w: bufio.NewWriter(q.w), control: control, eager: query.Follow}
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel()
	if query.Follow {
		beating.Go(func() { lines.beat(ctx, cancel, q.still) })
	}
	err = c.options.Events(ctx, query, lines.emit)
	if err != nil && ctx.Err() == nil && !lines.broken() {
		q.refuse(err)
		_ = lines.emit(refusalOf(err).appendJSON(nil))
	}
	lines.flush()
	return nil
}

// still reports whether the caller's token counts still.
func (q *call) still(ctx context.Context) bool {
	if q.token == "" {
		return true
	}
	_, err := q.desk().TokenByID(ctx, q.token)
	return err == nil || refusalOf(err).status >= 500
}

// maxPersonBytes bounds a visitor's or a customer's id.
const maxPersonBytes = 256

// parseEventQuery reads site, visitor, profile, since and follow. Since is a time
// (RFC 3339) or how long ago ("90m"). A person is one of a site's.
func parseEventQuery(args url.Values, now time.Time) (EventQuery, error) {
	query := EventQuery{Site: args.Get("site"), Visitor: args.Get("visitor"), Profile: args.Get("profile")}
	if person := query.Visitor + query.Profile; person != "" && query.Site == "" || len(person) > maxPersonBytes || query.Visitor != "" && query.Profile != "" {
		return query, errQuery
	}
	if since := args.Get("since"); since != "" {
		at, err := time.Parse(time.RFC3339, since)
		if ago, agoErr := time.ParseDuration(since); agoErr == nil && ago >= 0 {
			at, err = now.Add(-ago), nil
		}
		if err != nil {
			return query, errQuery
		}
		query.Since = at
	}
	if follow := args.Get("follow"); follow != "" {
		yes, err := strconv.ParseBool(follow)
		if err != nil {
			return query, errQuery
		}
		query.Follow = yes
	}
	return query, nil
}

// A lineWriter writes lines one at a time. It is safe for concurrent use.
type lineWriter struct {
	mu      sync.Mutex
	w       *bufio.Writer
	control *http.ResponseController
	eager   bool // each line leaves at once
	err     error
}

var errLineBreak = errors.New("an event holds a line break")

func (l *lineWriter) emit(line []byte) error {
	if bytes.IndexByte(line, '\n') >= 0 {
		return errLineBreak
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(line)
}

// write gives the client a while to read what leaves.
func (l *lineWriter) write(line []byte) error {
	if l.err != nil {
		return l.err
	}
	if l.eager || l.w.Available() <= len(line) {
		_ = l.control.SetWriteDeadline(time.Now().Add(lineTime)) // a writer without one is not a connection
	}
	_, _ = l.w.Write(line) // bufio keeps the error for Flush
	l.err = l.w.WriteByte('\n')
	if l.err == nil && l.eager {
		l.send()
	}
	return l.err
}

func (l *lineWriter) send() {
	if l.err = l.w.Flush(); l.err == nil {
		l.err = l.control.Flush()
	}
}

func (l *lineWriter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.send()
	}
}

func (l *lineWriter) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err != nil
}

// beat writes empty lines until ctx ends, nobody reads them, or whoever reads
// them may no longer.
func (l *lineWriter) beat(ctx context.Context, cancel context.CancelFunc, still func(context.Context) bool) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		l.mu.Lock()
		err := l.write(nil)
		l.mu.Unlock()
		if err != nil || !still(ctx) {
			cancel()
			return
		}
	}
}
