// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// ErrNoDead reports a dead letter that is not there: an edge.ErrNone.
var ErrNoDead error = missing("no such dead letter")

// maxDeadHeadBytes bounds what a letter says beside its event's JSON: three texts
// of maxTextBytes, escaped.
const maxDeadHeadBytes = 6*3*maxTextBytes + 8<<10

var (
	sinkPattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	deadPattern = regexp.MustCompile(`^([a-z0-9-]{1,32})\.([0-9]{1,20})\.(rest|[0-9]{1,6})$`)
)

// expiresHeader says when a letter expires, in Unix seconds. The server would count
// a time to live by the machine's clock, which can jump.
const expiresHeader = "Expires"

// maxSinkBytes bounds a sink's name.
const maxSinkBytes = 32

// ValidSink reports whether name can be a sink's: words of a-z and 0-9 joined by
// dashes, at most 32 characters.
func ValidSink(name string) bool { return len(name) <= maxSinkBytes && sinkPattern.MatchString(name) }

// deadID names a letter; with the site before it, it is a subject.
func deadID(sink string, seq uint64, index int) string {
	place := strconv.Itoa(index)
	if index < 0 {
		place = "rest"
	}
	return sink + "." + strconv.FormatUint(seq, 10) + "." + place
}

// PutDead keeps a dead letter, in the place of the one for the same sink and
// event. Its ID follows from what it is about. It expires with its event. When
// there is no room the oldest letters go before their time. The error is
// ErrInvalid for a letter that no sink and event could have.
func (s *Stream) PutDead(ctx context.Context, d edge.DeadLetter) error {
	d.ID = deadID(d.Sink, d.Seq, d.Index)
	if !ValidSink(d.Sink) || !edge.ValidSite(d.Site) || !deadPattern.MatchString(d.ID) || len(d.Body) > MaxEventBytes {
		return fmt.Errorf("keep dead letter: %w", ErrInvalid)
	}
	msg := &nats.Msg{Subject: deadSubject + d.Site + "." + d.ID}
	if !d.Expires.IsZero() {
		if !s.clock.now().Before(d.Expires) {
			return nil
		}
		msg.Header = nats.Header{expiresHeader: {strconv.FormatInt(d.Expires.Unix(), 10)}}
	}
	body := d.Body
	d.Body = nil
	head, err := json.Marshal(d)
	if err != nil || len(head) > maxDeadHeadBytes {
		return fmt.Errorf("keep dead letter: %w: %w", ErrInvalid, err)
	}
	msg.Data = append(append(head, '\n'), body...)
	err = s.write(ctx, func(ctx context.Context, b *broker) error {
		_, err := b.js.PublishMsg(ctx, msg)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep dead letter: %w", err)
	}
	return nil
}

// Dead calls fn with each dead letter of a site and a sink, of all with "",
// oldest first, the body included. What expired or whose person is forgotten is
// left out. It returns nil after the last one, or the error of fn or ctx.
func (s *Stream) Dead(ctx context.Context, site, sink string, fn func(edge.DeadLetter) error) error {
	if site != "" && !edge.ValidSite(site) || sink != "" && !ValidSink(sink) {
		return nil
	}
	any := func(word string) string {
		if word == "" {
			return "*"
		}
		return word
	}
	at := position{subject: deadSubject + any(site) + "." + any(sink) + ".*.*"}
	var failed error
	err := s.scanWith(ctx, func(ctx context.Context, b *broker) error {
		info, err := b.dead.Info(ctx)
		if err != nil {
			return fmt.Errorf("ask dead letters: %w", err)
		}
		return b.readAll(ctx, b.dead, &at, info.State.LastSeq, func(m message) error {
			at.seq = m.seq + 1
			d, err := openDead(m.subject, m.data)
			switch {
			case err != nil:
				s.damaged(m, err)
			case !s.over(&d):
				if failed = fn(d); failed != nil {
					return errEnd
				}
			}
			return nil
		})
	})
	if failed != nil {
		return failed
	}
	return err
}

// over reports whether a letter may not be shown any more.
func (s *Stream) over(d *edge.DeadLetter) bool {
	return !d.Expires.IsZero() && !s.clock.now().Before(d.Expires) || s.Forgotten(edge.Person{Site: d.Site, Key: d.Person}, d.Seq)
}

// expireDead deletes the letters that have expired.
func (b *broker) expireDead(ctx context.Context, now time.Time) error {
	at := position{subject: deadSubject + "*.*.*.*", seq: 1, heads: true}
	return b.readThrough(ctx, b.dead, at, func(m message) error {
		expires, err := strconv.ParseInt(m.header.Get(expiresHeader), 10, 64)
		if err != nil || now.Unix() <= expires {
			return nil // it has no time, or its time is to come
		}
		err = b.dead.SecureDeleteMsg(ctx, m.seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			err = nil
		}
		return err
	})
}

// openDead reads a letter as PutDead writes it. The subject says whose it is.
func openDead(subject string, data []byte) (d edge.DeadLetter, err error) {
	head, body, ok := bytes.Cut(data, []byte{'\n'})
	if !ok {
		return d, errFrame
	}
	if err := json.Unmarshal(head, &d); err != nil {
		return d, fmt.Errorf("%w: %w", errFrame, err)
	}
	d.Site, d.ID, _ = strings.Cut(strings.TrimPrefix(subject, deadSubject), ".")
	if len(body) > 0 {
		d.Body = body
	}
	return d, nil
}

// DeadLetter returns one letter of a site, or ErrNoDead.
func (s *Stream) DeadLetter(ctx context.Context, site, id string) (d edge.DeadLetter, err error) {
	err = s.withDead(ctx, site, id, func(_ context.Context, _ *broker, msg *jetstream.RawStreamMsg) (err error) {
		d, err = openDead(msg.Subject, msg.Data)
		return err
	})
	if err == nil && s.over(&d) {
		return edge.DeadLetter{}, ErrNoDead
	}
	return d, err
}

// DropDead deletes one letter of a site for good, or returns ErrNoDead. Its bytes
// are overwritten.
func (s *Stream) DropDead(ctx context.Context, site, id string) error {
	return s.withDead(ctx, site, id, func(ctx context.Context, b *broker, msg *jetstream.RawStreamMsg) error {
		return b.dead.SecureDeleteMsg(ctx, msg.Sequence)
	})
}

// withDead calls do with the message of a letter.
func (s *Stream) withDead(ctx context.Context, site, id string, do func(context.Context, *broker, *jetstream.RawStreamMsg) error) error {
	if !edge.ValidSite(site) || !deadPattern.MatchString(id) {
		return ErrNoDead
	}
	err := s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		msg, err := b.dead.GetLastMsgForSubject(ctx, deadSubject+site+"."+id)
		if err != nil {
			return err
		}
		return do(ctx, b, msg)
	})
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return ErrNoDead
	case err != nil:
		return fmt.Errorf("dead letter: %w", err)
	}
	return nil
}

// dropDeadOf deletes the letters about what a person did before they were to be
// forgotten, and returns how many there were.
func (s *Stream) dropDeadOf(ctx context.Context, p edge.Person, before uint64) (dropped uint64, err error) {
	at := position{subject: deadSubject + p.Site + ".*.*.*"}
	var found []uint64
	err = s.scanWith(ctx, func(ctx context.Context, b *broker) error {
		info, err := b.dead.Info(ctx)
		if err != nil {
			return fmt.Errorf("ask dead letters: %w", err)
		}
		err = b.readAll(ctx, b.dead, &at, info.State.LastSeq, func(m message) error {
			at.seq = m.seq + 1
			if d, err := openDead(m.subject, m.data); err == nil && d.Person == p.Key && d.Seq <= before {
				found = append(found, m.seq)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return s.wipe(ctx, b, deadStream, found)
	})
	return uint64(len(found)), err
}
