// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// The acts that the audit log knows.
const (
	ActUpload = "upload"
	// ActPublish puts a module to work in a slot's rung, in the place of the one
	// of the same name: for everybody, or as a roll-out to Placement.Rollout of
	// 10,000 visitors while the others see the one before.
	ActPublish = "publish"
	// ActShadow runs a module beside the live ones of a slot's rung. Nobody sees
	// what it answers; Status tells what it would have changed.
	ActShadow = "shadow"
	// ActRollout changes how many of 10,000 visitors see a module of a slot, or
	// begins to show them one that was in shadow. Who sees it at one share sees
	// it at every larger one.
	ActRollout = "rollout"
	// ActRemove takes a module out of a slot, its shadow too.
	ActRemove = "remove"
	// ActRollback publishes an earlier release's document again, under a new
	// number. The one before the live one is, after a rollback, the one before
	// the release that was gone back to.
	ActRollback = "rollback"
	ActRelease  = "release" // a whole release document
	ActPropose  = "propose"
	ActApprove  = "approve"
	ActReject   = "reject"
	ActToken    = "token"  // a token was made
	ActRevoke   = "revoke" // a token was revoked
	// ActIdentityKey makes a key by which a site says who has signed in,
	// ActRevokeIdentity ends one; Token names it.
	ActIdentityKey    = "identity-key"
	ActRevokeIdentity = "revoke-identity-key"
	// ActItems imports a feed of items, ActDeleteItem takes one out.
	ActItems      = "items"
	ActDeleteItem = "delete-item"
	// What is not the desk's own, noted by Noted.
	ActForget     = "forget"      // a person is to be forgotten; whose entry does not say
	ActDropSink   = "drop-sink"   // how far a sink was is forgotten
	ActReplayDead = "replay-dead" // a dead letter was given to its sink again
	ActDropDead   = "drop-dead"   // a dead letter was deleted
	ActRotateKey  = "rotate-key"  // a sealing key was made
	ActRetireKey  = "retire-key"  // a sealing key was ended
	ActResetKeys  = "reset-keys"  // all sealing keys but DATA/key were given up
	ActVoid       = "void"        // the entry that Voids names did not take effect
)

// An Entry is one line of the audit log. It is written before what it tells of
// takes effect, so nothing happens unnoted; what then fails is told by a second
// entry, of act void.
type Entry struct {
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	Role Role      `json:"role"`
	// Site is empty for a token of every site.
	Site string `json:"site,omitempty"`
	Act  string `json:"act"`

	// Slot, Module (name@version) and ModuleHash say what was put to work.
	Slot       string `json:"slot,omitempty"`
	Module     string `json:"module,omitempty"`
	ModuleHash string `json:"moduleHash,omitempty"`
	// Was and Release are the releases before and after, Before and After the
	// SHA-256 of their documents.
	Was     uint64 `json:"was,omitempty"`
	Release uint64 `json:"release,omitempty"`
	Before  string `json:"before,omitempty"`
	After   string `json:"after,omitempty"`
	// Restores is the release that a rollback went back to.
	Restores uint64 `json:"restores,omitempty"`

	Proposal string `json:"proposal,omitempty"`
	Token    string `json:"token,omitempty"`
	Voids    string `json:"voids,omitempty"`
	// Detail is a reason or a circumstance in words.
	Detail string `json:"detail,omitempty"`
}

// MaxAuditEntries bounds what one call of Audit returns.
const MaxAuditEntries = 1000

// An AuditLog is the newest entries of the audit log, newest first.
type AuditLog struct {
	Entries []Entry `json:"entries"`
	// Broken says where entries were changed or removed behind the program's
	// back; empty for a log that is whole.
	Broken string `json:"broken,omitempty"`
}

// Audit returns the newest entries, at most limit, 0 for as many as there may
// be, about a site, or with an empty site about every site that the actor sees
// and, to an admin of every site, about tokens of every site. It needs the role viewer.
func (d *Desk) Audit(ctx context.Context, by Actor, site string, limit int) (*AuditLog, error) {
	err := by.needAnywhere(Viewer)
	if site != "" {
		err = by.need(Viewer, site)
	}
	if err != nil {
		return nil, err
	}
	if limit <= 0 || limit > MaxAuditEntries {
		limit = MaxAuditEntries
	}
	newest := tail{limit: limit}
	err = d.o.Audits.Audit(ctx, site, func(_ uint64, _ time.Time, line []byte) error {
		var of struct {
			Site string `json:"site"`
		}
		if err := json.Unmarshal(line, &of); err != nil {
			return fmt.Errorf("read entry: %w", err)
		}
		if by.seesEntry(of.Site) {
			newest.add(line)
		}
		return nil
	})
	log := &AuditLog{Entries: []Entry{}}
	if errors.Is(err, edge.ErrBroken) {
		log.Broken, err = err.Error(), nil
	}
	for line := range newest.back {
		var e Entry
		err = errors.Join(err, json.Unmarshal(line, &e))
		log.Entries = append(log.Entries, e)
	}
	if err != nil {
		return nil, storeError(err, "", "audit log")
	}
	return log, nil
}

// A tail keeps the last lines of many: the one at next is the oldest as soon as
// there are limit.
type tail struct {
	limit, next int
	lines       [][]byte
}

func (t *tail) add(line []byte) {
	if len(t.lines) < t.limit {
		t.lines = append(t.lines, line)
		return
	}
	t.lines[t.next] = line
	t.next = (t.next + 1) % t.limit
}

// back yields the lines, the last first.
func (t *tail) back(yield func([]byte) bool) {
	for i := range t.lines {
		if !yield(t.lines[(t.next+len(t.lines)-1-i)%len(t.lines)]) {
			return
		}
	}
}

// seesEntry reports whether the actor sees the entries of a site, or of none.
func (a Actor) seesEntry(site string) bool {
	if site == "" {
		return a.May(Admin, AnySite)
	}
	return a.Sees(site)
}

// appendEntry appends an entry by an actor.
func (d *Desk) appendEntry(ctx context.Context, by Actor, e Entry) error {
	e.At, e.By, e.Role = d.now(), by.Name, by.Role
	if e.ID == "" {
		e.ID = newID()
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return storeError(d.o.Audits.AppendAudit(ctx, e.Site, line), "", "audit log")
}

// newID returns a name that nothing else has.
func newID() string { return strings.ToLower(rand.Text()[:16]) }

func (d *Desk) now() time.Time { return d.o.Now().UTC().Truncate(time.Millisecond) }

// withEntry appends an entry and then does what it tells of; if that fails, a
// second entry says so.
func (d *Desk) withEntry(ctx context.Context, by Actor, e Entry, do func() error) error {
	return d.withEntries(ctx, by, []Entry{e}, do)
}

// Noted does what another part of the program is asked for with an entry of e's act
// and detail, as the desk does what is its own. It needs the role at e's site, at
// every site where that is empty.
func (d *Desk) Noted(ctx context.Context, by Actor, role Role, e Entry, do func() error) error {
	site := e.Site
	if site == "" {
		site = AnySite
	}
	if err := by.need(role, site); err != nil {
		return err
	}
	return d.withEntry(ctx, by, Entry{Act: e.Act, Site: e.Site, Detail: e.Detail}, do)
}

// withEntries is withEntry for what several sites are told of.
func (d *Desk) withEntries(ctx context.Context, by Actor, entries []Entry, do func() error) error {
	for i := range entries {
		entries[i].ID = newID()
		if err := d.appendEntry(ctx, by, entries[i]); err != nil {
			return errors.Join(err, d.void(ctx, by, entries[:i], err))
		}
	}
	if err := do(); err != nil {
		return errors.Join(err, d.void(ctx, by, entries, err))
	}
	return nil
}

// void says of entries that what they tell of did not take effect.
func (d *Desk) void(ctx context.Context, by Actor, entries []Entry, reason error) (err error) {
	for _, e := range entries {
		e = Entry{Act: ActVoid, Site: e.Site, Voids: e.ID, Detail: reason.Error()}
		err = errors.Join(err, d.appendEntry(context.WithoutCancel(ctx), by, e))
	}
	return err
}
