// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// The audit log is a chain: each stored entry carries the SHA-256 of the one
// before, whatever its site.
//
//	{"prev":"5f0c…","at":"2026-11-22T00:00:00.123Z","site":"shop","entry":{…}}
//
// prev is of 64 zeros in the first. Whoever changes, removes or inserts an
// entry must write every later one anew. The reserve keeps the number and hash
// of the newest entry under auditHeadKey, so that entries cannot go missing at
// the end unseen. It can be one entry behind, after a crash.
type auditEntry struct {
	Prev  string          `json:"prev"`
	At    time.Time       `json:"at"`
	Site  string          `json:"site"`
	Entry json.RawMessage `json:"entry"`
}

// An auditHead names an entry; the newest one is the value under auditHeadKey.
type auditHead struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

const (
	auditHeadKey = "AUDIT" // capitals: no note has such a key
	// auditNode stands in a subject for entries without a site.
	auditNode = "_"
	// maxAuditReads is how many read the log at once: each reads all of it.
	maxAuditReads = 2
	// MaxAuditBytes bounds one entry of the audit log.
	MaxAuditBytes = 64 << 10
)

var auditStart = fmt.Sprintf("%064d", 0)

// AppendAudit adds an entry, a JSON document of at most MaxAuditBytes, to the
// audit log. site is whom it is about, "" for the node as a whole. Nil means
// that the entry is on disk. The error is ErrInvalid for another site or entry;
// while the log is down it is the reason. After another error the entry may be
// kept or not.
func (s *Stream) AppendAudit(ctx context.Context, site string, entry []byte) error {
	switch {
	case site != "" && !edge.ValidSite(site):
		return fmt.Errorf("append to audit log: %w: %w", ErrInvalid, errSite)
	case len(entry) == 0 || len(entry) > MaxAuditBytes:
		return fmt.Errorf("append to audit log: %w: %d bytes, 1 to %d are allowed", ErrInvalid, len(entry), MaxAuditBytes)
	case !json.Valid(entry):
		return fmt.Errorf("append to audit log: %w: not a JSON document", ErrInvalid)
	}
	s.audits.Lock()
	defer s.audits.Unlock()
	a := auditAppend{site: site, at: time.Now().UTC().Truncate(time.Millisecond), entry: entry}
	if err := s.write(ctx, a.do); err != nil {
		return fmt.Errorf("append to audit log: %w", err)
	}
	return nil
}

// An auditAppend is one call of AppendAudit.
type auditAppend struct {
	site  string
	at    time.Time
	entry []byte
	tried string // the hash of what a broker was given
}

// do appends the entry and notes it in the reserve. It can be called again with
// the broker after the one that broke off: nobody else appends meanwhile.
func (a *auditAppend) do(ctx context.Context, b *broker) error {
	last, err := b.lastAudit(ctx)
	if err != nil {
		return err
	}
	if a.tried == "" || a.tried != last.Hash {
		known, err := b.auditHead(ctx)
		if err != nil {
			return err
		}
		if known.Seq >= last.Seq && known.Seq > 0 {
			last = known // so that what went missing leaves a break
		}
		stored := sealAudit(last.Hash, a.site, a.at, a.entry)
		a.tried = hashOf(stored)
		ack, err := b.js.Publish(ctx, auditSubject+auditToken(a.site), stored)
		if err != nil {
			return err
		}
		last = auditHead{ack.Sequence, a.tried}
	}
	return b.putAuditHead(ctx, last)
}

// sealAudit makes what is stored. The entry's own bytes stay as they are.
func sealAudit(prev, site string, at time.Time, entry []byte) []byte {
	return fmt.Appendf(nil, `{"prev":%q,"at":%q,"site":%q,"entry":%s}`, prev, at.Format(time.RFC3339Nano), site, entry)
}

func auditToken(site string) string {
	if site == "" {
		return auditNode
	}
	return site
}

// lastAudit returns the number and hash of the newest stored entry.
func (b *broker) lastAudit(ctx context.Context) (auditHead, error) {
	m, err := b.audit.GetLastMsgForSubject(ctx, auditSubject+"*")
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return auditHead{Hash: auditStart}, nil
	case err != nil:
		return auditHead{}, fmt.Errorf("read newest entry: %w", err)
	}
	return auditHead{m.Sequence, hashOf(m.Data)}, nil
}

func (b *broker) putAuditHead(ctx context.Context, head auditHead) error {
	value, err := json.Marshal(head)
	if err != nil {
		return err
	}
	_, err = b.reserve.Put(ctx, auditHeadKey, value)
	return err
}

// auditHead returns what the reserve knows of the newest entry, or zero.
func (b *broker) auditHead(ctx context.Context) (head auditHead, err error) {
	e, err := b.reserve.Get(ctx, auditHeadKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return head, nil
	case err != nil:
		return head, fmt.Errorf("ask ledger: %w", err)
	}
	if err := json.Unmarshal(e.Value(), &head); err != nil {
		return head, fmt.Errorf("%w: the number of its newest entry is unreadable", edge.ErrBroken)
	}
	return head, nil
}

// Audit calls each for every entry about site, for all entries when site is "",
// oldest first, one at a time: its number in the whole log, when it was added
// and the entry, which is each's to keep. Entries that are added meanwhile may
// or may not be among them.
//
// The whole log is checked, whatever the site. When it is broken, each gets
// every entry that can be read all the same, and then Audit returns an
// edge.ErrBroken that says where the chain breaks first. Otherwise it returns
// nil, or the error of each or ctx. Two callers read at once; others wait.
func (s *Stream) Audit(ctx context.Context, site string, each func(seq uint64, at time.Time, entry []byte) error) error {
	if site != "" && !edge.ValidSite(site) {
		return fmt.Errorf("read audit log: %w: %w", ErrInvalid, errSite)
	}
	select {
	case s.auditReads <- struct{}{}:
		defer func() { <-s.auditReads }()
	case <-ctx.Done():
		return ctx.Err()
	}
	r := auditReader{site: site, each: each, prev: auditStart, at: position{subject: auditSubject + "*", seq: 1}}
	err := s.scanWith(ctx, r.read)
	switch {
	case r.err != nil:
		return r.err
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("read audit log: %w", err)
	}
	return r.broken
}

// An auditReader is one call of Audit.
type auditReader struct {
	site string
	each func(seq uint64, at time.Time, entry []byte) error
	at   position // the next entry

	begun  bool
	last   uint64    // the newest entry when reading began
	head   auditHead // what the reserve knew then
	prev   string    // hash of the entry before
	broken error     // the first break
	err    error     // what each returned
}

func (r *auditReader) read(ctx context.Context, b *broker) error {
	if !r.begun {
		var err error
		if r.head, err = b.auditHead(ctx); errors.Is(err, edge.ErrBroken) {
			r.broken = err
		} else if err != nil {
			return err
		}
		last, err := b.lastAudit(ctx)
		if err != nil {
			return err
		}
		r.last, r.begun = last.Seq, true
	}
	if err := b.readAll(ctx, b.audit, &r.at, r.last, r.take); err != nil {
		return err
	}
	if r.last < r.head.Seq {
		r.breaks(r.last+1, fmt.Sprintf("it ends here, there were entries up to %d", r.head.Seq))
	}
	return nil
}

// take checks one message and hands its entry on.
func (r *auditReader) take(m message) error {
	if want := r.at.seq; m.seq != want {
		r.breaks(want, "the entry is gone")
	}
	prev := r.prev
	r.prev, r.at.seq = hashOf(m.data), m.seq+1
	var e auditEntry
	if err := json.Unmarshal(m.data, &e); err != nil {
		r.breaks(m.seq, "the entry is unreadable")
		return nil
	}
	switch {
	case e.Prev != prev:
		r.breaks(m.seq, "the entry does not follow the one before")
	case m.subject != auditSubject+auditToken(e.Site):
		r.breaks(m.seq, "the entry is another site's")
	case m.seq == r.head.Seq && r.prev != r.head.Hash:
		r.breaks(m.seq, "the entry is not the one that was written")
	}
	if r.site == "" || r.site == e.Site {
		if r.err = r.each(m.seq, e.At, e.Entry); r.err != nil {
			return errEnd
		}
	}
	return nil
}

// breaks notes where the chain breaks, the first time.
func (r *auditReader) breaks(seq uint64, what string) {
	if r.broken == nil {
		r.broken = fmt.Errorf("%w at entry %d: %s", edge.ErrBroken, seq, what)
	}
}
