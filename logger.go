// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// What --log.format may say.
const (
	logText = "text"
	logJSON = "json"
)

// A calmHandler lets a message through a few times a minute and then only
// counts: what fails for each request must not fill a disk. A message is its
// words without its attributes. The next record of it says how many were left
// out.
type calmHandler struct {
	slog.Handler
	counts *calmCounts
}

const (
	calmBurst    = 20 // records of one message in calmTime
	calmTime     = time.Minute
	calmMessages = 1024 // counted at once; they are constants of the program
)

// calmCounts are shared by a handler and those derived from it.
type calmCounts struct {
	mu       sync.Mutex
	messages map[calmKey]*calmCount
}

type calmKey struct {
	level   slog.Level
	message string
}

type calmCount struct {
	since    time.Time
	let, out int
}

func newCalmHandler(h slog.Handler) *calmHandler {
	return &calmHandler{h, &calmCounts{messages: map[calmKey]*calmCount{}}}
}

// Handle implements slog.Handler.
func (h *calmHandler) Handle(ctx context.Context, r slog.Record) error {
	left, ok := h.counts.let(calmKey{r.Level, r.Message}, r.Time)
	if !ok {
		return nil
	}
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", left))
	}
	return h.Handler.Handle(ctx, r)
}

// let reports whether a record is written, and how many before it were not.
func (c *calmCounts) let(key calmKey, now time.Time) (left int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.messages[key]
	if one == nil {
		if len(c.messages) >= calmMessages {
			clear(c.messages)
		}
		one = &calmCount{since: now}
		c.messages[key] = one
	}
	if now.Sub(one.since) >= calmTime {
		left, *one = one.out, calmCount{since: now}
	}
	if one.let++; one.let > calmBurst {
		one.out++
		return 0, false
	}
	return left, true
}

// WithAttrs implements slog.Handler.
func (h *calmHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &calmHandler{h.Handler.WithAttrs(slices.Clip(attrs)), h.counts}
}

// WithGroup implements slog.Handler.
func (h *calmHandler) WithGroup(name string) slog.Handler {
	return &calmHandler{h.Handler.WithGroup(name), h.counts}
}

// logger returns the node's log, whose level can be changed.
func (c *Config) logger(to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.level}
	if c.LogFormat == logJSON {
		return slog.New(newCalmHandler(slog.NewJSONHandler(to, options)))
	}
	return slog.New(newCalmHandler(slog.NewTextHandler(to, options)))
}
