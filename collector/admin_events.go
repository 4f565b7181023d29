// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bufio"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// beatEvery is how often a stream that has nothing to say sends an empty line:
// only by writing can it find out that nobody listens any more.
const beatEvery = 5 * time.Second

// events streams stored events as JSON lines. Empty lines mean nothing. An
// error after the first line ends the stream with a line {"error":…}.
func (a *Admin) events(ctx *fasthttp.RequestCtx) error {
	query, err := parseEventQuery(ctx.QueryArgs(), time.Now())
	if err != nil {
		return err
	}
	if a.ctx.Err() != nil {
		return errNotReady
	}
	ctx.Response.Header.SetContentType("application/x-ndjson")
	ctx.Response.ImmediateHeaderFlush = true
	a.done.Add(1)
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer a.done.Done()
		a.stream(w, query)
	})
	return nil
}

func (a *Admin) stream(w *bufio.Writer, query EventQuery) {
	ctx, cancel := context.WithCancel(a.ctx)
	lines := &lineWriter{w: w, eager: query.Follow}
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // fasthttp does not guard this goroutine
			logPanic(a.options.Logger, p)
		}
	}()
	if query.Follow {
		beating.Go(func() { lines.beat(ctx, cancel) })
	}
	if err := a.options.Events(ctx, query, lines.emit); err != nil && ctx.Err() == nil && !lines.broken() {
		a.options.Logger.Error("stream events", "error", err)
		_ = lines.emit(refusalOf(err).appendJSON(nil))
	}
}

// parseEventQuery reads site, since and follow. Since is a time (RFC 3339) or
// how long ago ("90m").
func parseEventQuery(args *fasthttp.Args, now time.Time) (EventQuery, error) {
	query := EventQuery{Site: string(args.Peek("site"))}
	if since := string(args.Peek("since")); since != "" {
		at, err := time.Parse(time.RFC3339, since)
		if ago, agoErr := time.ParseDuration(since); agoErr == nil && ago >= 0 {
			at, err = now.Add(-ago), nil
		}
		if err != nil {
			return query, errQuery
		}
		query.Since = at
	}
	if follow := string(args.Peek("follow")); follow != "" {
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
	mu    sync.Mutex
	w     *bufio.Writer
	eager bool // each line leaves at once
	err   error
}

var errLineBreak = errors.New("an event holds a line break")

func (l *lineWriter) emit(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range line {
		if c == '\n' {
			return errLineBreak
		}
	}
	return l.write(line)
}

func (l *lineWriter) write(line []byte) error {
	if l.err != nil {
		return l.err
	}
	_, _ = l.w.Write(line) // bufio keeps the error for Flush
	l.err = l.w.WriteByte('\n')
	if l.err == nil && l.eager {
		l.err = l.w.Flush()
	}
	return l.err
}

func (l *lineWriter) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err != nil
}

// beat writes empty lines until ctx ends or nobody reads them.
func (l *lineWriter) beat(ctx context.Context, cancel context.CancelFunc) {
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
		if err != nil {
			cancel()
			return
		}
	}
}
