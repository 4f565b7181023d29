// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A log's message cannot be changed in place, and a reader counts on its number.
// So a message that loses events to an erasure is written anew into a store beside
// the logs, under the name of its log, its site and its number, and then deleted
// where it was. Readers of a log find it where its number is.
//
//	subject = rewritten.(events|records).SITE.NUMBER
//	header  = Stored: when the message was stored first, in Unix nanoseconds
//
// Where a message is in both stores, because a crash came in between, and where
// the store has two of one number, the newest in the store counts.
const (
	rewrittenStream  = "REWRITTEN"
	rewrittenSubject = "rewritten." // and the log's subject, the site and the number
	storedHeader     = "Stored"
)

// A rewrite is one message that was written anew. It takes 48 bytes of memory.
type rewrite struct {
	number uint64 // of the message in its log
	seq    uint64 // in the store
	stored int64  // in Unix nanoseconds
	site   string
}

// at returns when the message was stored first.
func (r *rewrite) at() time.Time { return time.Unix(0, r.stored).UTC() }

// A rewrites knows a log's messages that were written anew. It is safe for
// concurrent use.
type rewrites struct {
	mu   sync.RWMutex
	list []rewrite // by number
}

// place returns where a number is or would be. r.mu is held.
func (r *rewrites) place(number uint64) (int, bool) {
	return slices.BinarySearchFunc(r.list, number, func(e rewrite, n uint64) int { return cmp.Compare(e.number, n) })
}

// find returns the rewrite of a message.
func (r *rewrites) find(number uint64) (rewrite, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if i, ok := r.place(number); ok {
		return r.list[i], true
	}
	return rewrite{}, false
}

// from returns the first rewrite of a site, of all with "", with a number from
// first to last.
func (r *rewrites) from(first, last uint64, site string) (rewrite, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	i, _ := r.place(first)
	for ; i < len(r.list) && r.list[i].number <= last; i++ {
		if site == "" || r.list[i].site == site {
			return r.list[i], true
		}
	}
	return rewrite{}, false
}

// last returns the rewrite with the highest number.
func (r *rewrites) last() (rewrite, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if n := len(r.list); n > 0 {
		return r.list[n-1], true
	}
	return rewrite{}, false
}

// between counts the rewrites with a number from first on and below end.
func (r *rewrites) between(first, end uint64) uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	i, _ := r.place(first)
	j, _ := r.place(end)
	return uint64(max(0, j-i))
}

// put adds a rewrite, unless the one of its number is newer. What gives way is
// old, with the seq 0 for nothing.
func (r *rewrites) put(e rewrite) (old rewrite) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.place(e.number)
	switch {
	case !ok:
		r.list = slices.Insert(r.list, i, e)
		return rewrite{}
	case r.list[i].seq > e.seq:
		return e
	}
	old, r.list[i] = r.list[i], e
	return old
}

// which returns the rewrites of which is says so.
func (r *rewrites) which(is func(*rewrite) bool) (found []rewrite) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for i := range r.list {
		if is(&r.list[i]) {
			found = append(found, r.list[i])
		}
	}
	return found
}

// drop removes a rewrite, unless another took its place.
func (r *rewrites) drop(e rewrite) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := r.place(e.number); ok && r.list[i] == e {
		r.list = slices.Delete(r.list, i, i+1)
	}
}

// rewritesOf returns what of a log was written anew.
func (s *Stream) rewritesOf(log target) *rewrites {
	if log == recordLog {
		return &s.rewrittenRecords
	}
	return &s.rewrittenEvents
}

// loadRewrites reads what was written anew, and deletes what a crash left beside
// its newer self, if there is room. s.erasing is held, or the Stream not yet open.
func (s *Stream) loadRewrites(ctx context.Context, b *broker) error {
	lists := map[target]*rewrites{eventLog: {}, recordLog: {}}
	var left []uint64
	sites := map[string]string{}
	err := b.readThrough(ctx, b.rewritten, position{seq: 1, heads: true}, func(m message) error {
		log, e, err := openRewrite(&m)
		if err != nil {
			s.damaged(m, err)
			return nil
		}
		if known, ok := sites[e.site]; ok {
			e.site = known
		} else {
			sites[e.site] = e.site
		}
		if old := lists[log].put(e); old.seq != 0 {
			left = append(left, old.seq)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what was written anew: %w", err)
	}
	for log, read := range lists {
		of := s.rewritesOf(log)
		of.mu.Lock()
		of.list = read.list
		of.mu.Unlock()
	}
	err = s.wipe(ctx, b, rewrittenStream, left)
	if errors.Is(err, errNoRoom) {
		s.unsure = true // a pass does it
		return nil
	}
	return err
}

// openRewrite reads what a message of the store is.
func openRewrite(m *message) (log target, e rewrite, err error) {
	if log, e, err = openRewriteSubject(m.subject); err != nil {
		return log, e, err
	}
	e.seq = m.seq
	if e.stored, err = strconv.ParseInt(m.header.Get(storedHeader), 10, 64); err != nil {
		err = fmt.Errorf("%w: %w", errFrame, err)
	}
	return log, e, err
}

// openRewriteSubject reads which message of which log a subject of the store
// names.
func openRewriteSubject(subject string) (log target, e rewrite, err error) {
	words := strings.Split(strings.TrimPrefix(subject, rewrittenSubject), ".")
	if len(words) != 3 {
		return log, e, errFrame
	}
	switch words[0] + "." {
	case eventSubject:
		log = eventLog
	case recordSubject:
		log = recordLog
	default:
		return log, e, errFrame
	}
	e.site = words[1]
	if e.number, err = strconv.ParseUint(words[2], 10, 64); err != nil {
		err = fmt.Errorf("%w: %w", errFrame, err)
	}
	return log, e, err
}

// putRewrite stores a message of a log anew and makes readers find it. It returns
// what gave way in the store, with the seq 0 for nothing.
func (s *Stream) putRewrite(ctx context.Context, b *broker, log target, m *message, data []byte) (old rewrite, err error) {
	site := strings.TrimPrefix(m.subject, log.subject)
	ack, err := b.js.PublishMsg(ctx, &nats.Msg{
		Subject: rewrittenSubject + log.subject + site + "." + strconv.FormatUint(m.seq, 10),
		Header:  nats.Header{storedHeader: {strconv.FormatInt(m.stored.UnixNano(), 10)}},
		Data:    data,
	})
	if err != nil {
		return old, fmt.Errorf("write a message anew: %w", err)
	}
	return s.rewritesOf(log).put(rewrite{number: m.seq, seq: ack.Sequence, stored: m.stored.UnixNano(), site: site}), nil
}

// rewrittenMessage reads a rewrite as the message of its log. The error is
// ErrMsgNotFound when its time is over.
func (b *broker) rewrittenMessage(ctx context.Context, log target, r *rewrite) (message, error) {
	msg, err := b.rewritten.GetMsg(ctx, r.seq)
	if err != nil {
		return message{}, err
	}
	return message{seq: r.number, subject: log.subject + r.site, stored: r.at(), data: msg.Data}, nil
}

// newestRewrite reads a log's message that was written anew as it is now: one
// that is read can be written anew once more.
func (s *Stream) newestRewrite(ctx context.Context, b *broker, log target, number uint64) (m message, ok bool, err error) {
	for {
		r, ok := s.rewritesOf(log).find(number)
		if !ok {
			return m, false, nil
		}
		m, err := b.rewrittenMessage(ctx, log, &r)
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return m, err == nil, err
		}
		if now, ok := s.rewritesOf(log).find(number); ok && now == r {
			return m, false, nil // it is expiring
		}
	}
}
