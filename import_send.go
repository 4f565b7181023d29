// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// A batch is what one message to a node holds, and the lines beside it that are
// refused here.
type batch struct {
	events  []importedEvent
	bytes   int
	refused []refusedLine
	lines   int
	after   place
}

// maxBatchBytes leaves room for what stands before the events.
const maxBatchBytes = edge.MaxBatchBytes - 16<<10

// add takes an entry unless the batch is full.
func (b *batch) add(e importEntry) bool {
	if e.event != nil {
		if len(b.events) == edge.MaxBatchEvents || b.bytes+len(e.event.json)+1 > maxBatchBytes {
			return false
		}
		b.events = append(b.events, *e.event)
		b.bytes += len(e.event.json) + 1
	}
	if e.refused != nil {
		b.refused = append(b.refused, *e.refused)
	}
	b.lines += e.lines
	b.after = e.after
	return true
}

// An eventSender brings batches to a node. It belongs to one goroutine.
type eventSender struct {
	http     http.Client
	url      string // of POST /v1/events
	key      string
	head     []byte        // of a message, up to its events
	patience time.Duration // how long a node may take nothing at all
	tell     func(format string, args ...any)
}

// A batchAnswer is a node's answer to a message.
type batchAnswer struct {
	Accepted int `json:"accepted"`
	Rejected []struct {
		Index int    `json:"index"`
		Code  string `json:"code"`
		Field string `json:"field"`
	} `json:"rejected"`
}

// send brings events to the node, and again for as long as it says that it cannot
// take them now. It returns how many were accepted and which lines were refused.
// A message that the node refuses as a whole is sent in halves, so that one event
// does not stand in the way of the others.
func (s *eventSender) send(ctx context.Context, events []importedEvent) (accepted int, refused []refusedLine, err error) {
	if len(events) == 0 {
		return 0, nil, nil
	}
	answer, err := s.insist(ctx, events)
	if whole, ok := errors.AsType[*apiError](err); ok && divisible(whole) {
		if len(events) == 1 {
			return 0, []refusedLine{{events[0].line, whole.Code, whole.Field}}, nil
		}
		for _, half := range [][]importedEvent{events[:len(events)/2], events[len(events)/2:]} {
			n, lines, err := s.send(ctx, half)
			accepted, refused = accepted+n, append(refused, lines...)
			if err != nil {
				return accepted, refused, err
			}
		}
		return accepted, refused, nil
	}
	if err != nil {
		return 0, nil, err
	}
	for _, r := range answer.Rejected {
		if r.Index < 0 || r.Index >= len(events) {
			return 0, nil, fmt.Errorf("the node refuses event %d of %d", r.Index, len(events))
		}
		refused = append(refused, refusedLine{events[r.Index].line, r.Code, r.Field})
	}
	return answer.Accepted, refused, nil
}

// divisible reports whether a refusal of a whole message may be one event's fault
// rather than that of what stands before the events.
func divisible(e *apiError) bool {
	return strings.HasPrefix(e.Field, "events") || e.Code == "too_large"
}

// The pauses before a message is sent again, when the node does not say how long.
const (
	firstPause = 200 * time.Millisecond
	longPause  = 30 * time.Second
)

// A waitError is a node that cannot take events now.
type waitError struct {
	pause time.Duration // 0 if it did not say
	err   error
}

func (e *waitError) Error() string { return e.err.Error() }
func (e *waitError) Unwrap() error { return e.err }

// insist sends one message until the node answers it.
func (s *eventSender) insist(ctx context.Context, events []importedEvent) (batchAnswer, error) {
	begun, pause := time.Now(), firstPause
	for {
		answer, err := s.post(ctx, events)
		wait, again := errors.AsType[*waitError](err)
		if !again || ctx.Err() != nil {
			return answer, errors.Join(err, ctx.Err())
		}
		if time.Since(begun) > s.patience {
			return answer, fmt.Errorf("the node has taken nothing for %v: %w", s.patience, wait.err)
		}
		pauseNow := pause
		if wait.pause > 0 {
			pauseNow = min(wait.pause, longPause)
		}
		if pause == firstPause {
			s.tell("waiting for the node: %v", wait.err)
		}
		pause = min(2*pause, longPause)
		select {
		case <-ctx.Done():
			return answer, ctx.Err()
		case <-time.After(pauseNow):
		}
	}
}

// post sends one message once.
func (s *eventSender) post(ctx context.Context, events []importedEvent) (answer batchAnswer, err error) {
	var body bytes.Buffer
	body.Write(s.head)
	body.WriteString(`,"events":[`)
	for i := range events {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(events[i].json)
	}
	body.WriteString("]}")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, &body)
	if err != nil {
		return answer, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.key)
	res, err := s.http.Do(req)
	if err != nil {
		return answer, &waitError{err: fmt.Errorf("ask the node: %w", err)}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return answer, &waitError{err: fmt.Errorf("the node's answer: %w", err)}
	}
	if res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, &answer); err != nil {
			return answer, fmt.Errorf("the node's answer: %w", err)
		}
		return answer, nil
	}
	var refusal struct{ Error apiError }
	if json.Unmarshal(text, &refusal) != nil || refusal.Error.Code == "" {
		refusal.Error = apiError{Code: "unexpected", Message: "the node answers " + res.Status}
	}
	switch res.StatusCode {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // without one it is ours to choose
		return answer, &waitError{time.Duration(max(seconds, 0)) * time.Second, &refusal.Error}
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return answer, &refusal.Error
	}
	return answer, errors.New(refusal.Error.Error())
}
