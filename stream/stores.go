// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Names in the embedded JetStream. They are part of the data format.
const (
	eventStream   = "EVENTS"
	eventSubject  = "events." // and the site
	bodyBucket    = "releases"
	pointerBucket = "release"
	moduleBucket  = "modules"
	noteBucket    = "ledger"
	reserveBucket = "reserve"
	auditStream   = "AUDIT"
	auditSubject  = "audit." // and the site
	recordStream  = "RECORDS"
	recordSubject = "records." // and the site
	flowBucket    = "flow"
	itemBucket    = "items"
	keyBucket     = "keys"
	profileBucket = "profiles"

	profileSubject = "$KV." + profileBucket + "." // and the site, and the person
	deadStream     = "DEAD"
	deadSubject    = "dead." // and the site, the sink, the message and the place in it
)

// storeNames are all streams that there are, with the names that Stats gives
// them.
var storeNames = map[string]string{
	eventStream:           "events",
	recordStream:          "records",
	auditStream:           "audit",
	"OBJ_" + bodyBucket:   "releases",
	"KV_" + pointerBucket: "pointers",
	"OBJ_" + moduleBucket: "modules",
	"KV_" + noteBucket:    "ledger",
	"KV_" + reserveBucket: "reserve",
	"KV_" + flowBucket:    "flow",
	deadStream:            "dead",
	rewrittenStream:       "rewritten",
	"KV_" + itemBucket:    "items",
	"KV_" + keyBucket:     "keys",
	"KV_" + profileBucket: "profiles",
}

// Bounds on disk of what is kept for good. What is full refuses.
const (
	maxReleaseBytes = 4 << 30   // all release documents together
	maxPointerBytes = 256 << 20 // their pointers and history
	maxModulesBytes = 16 << 30
	maxReserveBytes = 256 << 20
	maxAuditBytes   = 4 << 30
	maxItemsBytes   = 8 << 30   // all sites' catalogues, compressed
	maxPeopleBytes  = 32 << 30  // all profiles; a usual one has a few hundred bytes
	maxFlowBytes    = 256 << 20 // a forgetting takes about 250 bytes
	maxDeadBytes    = 256 << 20 // past it the oldest dead letters go
	maxKeysBytes    = 1 << 20   // a ring has at most edge.MaxRingBytes
	// maxRewritten bounds messages of logs that were written anew: they are what is
	// left of some of those logs, which have bounds of their own.
	maxRewritten = 1 << 40
)

// deletedAge is how long it is remembered that a note was deleted: what comes and
// goes must not fill a store with what is gone.
const deletedAge = 24 * time.Hour

// A target is a stream that commits go to.
type target struct{ stream, subject string }

var (
	eventLog  = target{eventStream, eventSubject}
	recordLog = target{recordStream, recordSubject}
)

// stores are what one run of the server holds.
type stores struct {
	events   jetstream.Stream
	bodies   bucket
	pointers jetstream.KeyValue
	modules  bucket
	notes    jetstream.KeyValue
	reserve  jetstream.KeyValue // the reserved words' notes, the audit log's head, whether there are keys
	audit    jetstream.Stream
	records  jetstream.Stream
	flow     jetstream.KeyValue // marks of those who read the log, and whom they must forget
	dead     jetstream.Stream
	items    jetstream.KeyValue // catalogues
	ring     jetstream.KeyValue // the ring of sealing keys
	profiles jetstream.KeyValue // by site and person
	people   jetstream.Stream   // what the profiles lie in

	rewritten jetstream.Stream // messages of events and records that were written anew
}

// streamOf returns the stream that a log's commits go to.
func (st *stores) streamOf(log target) jetstream.Stream {
	if log == recordLog {
		return st.records
	}
	return st.events
}

// open makes the streams or brings their settings up to date. It never makes
// one over the files of one that the server could not load.
func (st *stores) open(js jetstream.JetStream, o *Options) error {
	ctx, cancel := context.WithTimeout(context.Background(), brokerWait)
	defer cancel()
	for name := range storeNames {
		if _, err := js.Stream(ctx, name); errors.Is(err, jetstream.ErrStreamNotFound) && holdsData(o.Dir, name) {
			return fmt.Errorf("open event log: the server could not load stream %s, its log says why; its files are left as they are", name)
		}
	}
	if err := st.openLogs(ctx, js, o); err != nil {
		return err
	}
	if err := st.openDocuments(ctx, js); err != nil {
		return err
	}
	if err := st.openNotes(ctx, js, o); err != nil {
		return err
	}
	if err := st.openProfiles(ctx, js); err != nil {
		return err
	}
	return st.openFlow(ctx, js, o)
}

// whenFull is what a full event log does. What was acknowledged goes only if the
// operator said so.
func (o *Options) whenFull() jetstream.DiscardPolicy {
	if o.DropOldest {
		return jetstream.DiscardOld
	}
	return jetstream.DiscardNew
}

// openLogs makes the streams that grow at the end.
func (st *stores) openLogs(ctx context.Context, js jetstream.JetStream, o *Options) (err error) {
	st.events, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        eventStream,
		Description: "events, one message per site and commit group",
		Subjects:    []string{eventSubject + "*"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		// Nothing goes by the server's MaxAge: a clock that jumps would empty the
		// log at once. Expire deletes.
		Discard:     o.whenFull(),
		MaxBytes:    o.MaxLogBytes,
		AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("open event log: %w", err)
	}
	st.audit, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        auditStream,
		Description: "audit log, one message per entry",
		Subjects:    []string{auditSubject + "*"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    maxAuditBytes,
		DenyDelete:  true,
		DenyPurge:   true,
		AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	st.rewritten, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        rewrittenStream,
		Description: "messages of events and records that lost some to an erasure",
		Subjects:    []string{rewrittenSubject + "*.*.*"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    maxRewritten,
		AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("open what was written anew: %w", err)
	}
	st.records, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        recordStream,
		Description: "decision records, one message per site and commit group",
		Subjects:    []string{recordSubject + "*"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxBytes:    o.MaxRecordsBytes,
		AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("open decision records: %w", err)
	}
	return nil
}

// openDocuments makes the stores of releases and modules.
func (st *stores) openDocuments(ctx context.Context, js jetstream.JetStream) (err error) {
	if st.bodies, err = openBucket(ctx, js, jetstream.ObjectStoreConfig{
		Bucket: bodyBucket, Description: "release documents by their SHA-256", MaxBytes: maxReleaseBytes,
	}); err != nil {
		return fmt.Errorf("open release bodies: %w", err)
	}
	if st.pointers, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: pointerBucket, Description: "live and past releases: number and SHA-256",
		Storage: jetstream.FileStorage, History: 1, MaxBytes: maxPointerBytes,
	}); err != nil {
		return fmt.Errorf("open release pointers: %w", err)
	}
	if st.modules, err = openBucket(ctx, js, jetstream.ObjectStoreConfig{
		Bucket: moduleBucket, Description: "modules by their SHA-256", MaxBytes: maxModulesBytes,
	}); err != nil {
		return fmt.Errorf("open module store: %w", err)
	}
	if st.items, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: itemBucket, Description: "items of sites in parts, and the heads that say which count",
		Storage: jetstream.FileStorage, History: 1, MaxBytes: maxItemsBytes, LimitMarkerTTL: deletedAge,
	}); err != nil {
		return fmt.Errorf("open items: %w", err)
	}
	return nil
}

// openNotes makes the stores of notes and of sealing keys.
func (st *stores) openNotes(ctx context.Context, js jetstream.JetStream, o *Options) (err error) {
	if st.notes, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: noteBucket, Description: "notes by key",
		Storage: jetstream.FileStorage, History: 1, MaxBytes: o.MaxLedgerBytes, LimitMarkerTTL: deletedAge,
	}); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	if st.reserve, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: reserveBucket, Description: "notes of reserved words, and the audit log's newest entry",
		Storage: jetstream.FileStorage, History: 1, MaxBytes: maxReserveBytes, LimitMarkerTTL: deletedAge,
	}); err != nil {
		return fmt.Errorf("open ledger's reserve: %w", err)
	}
	if st.ring, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: keyBucket, Description: "sealing keys, each encrypted under the data directory's key",
		Storage: jetstream.FileStorage, History: 1, MaxBytes: maxKeysBytes,
	}); err != nil {
		return fmt.Errorf("open sealing keys: %w", err)
	}
	return nil
}

// openFlow makes the stores of those who read the log from a mark.
func (st *stores) openFlow(ctx context.Context, js jetstream.JetStream, o *Options) (err error) {
	if st.flow, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: flowBucket, Description: "marks of the log's readers, and whom they must forget",
		Storage: jetstream.FileStorage, History: 1, MaxBytes: maxFlowBytes, LimitMarkerTTL: deletedAge,
	}); err != nil {
		return fmt.Errorf("open marks: %w", err)
	}
	st.dead, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        deadStream,
		Description: "events that a sink could not take, one message per event",
		Subjects:    []string{deadSubject + "*.*.*.*"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		// What cannot be taken must not stop what can.
		Discard:           jetstream.DiscardOld,
		MaxBytes:          maxDeadBytes,
		MaxMsgsPerSubject: 1, // a letter that is written again is the same letter
		AllowMsgTTL:       true,
		AllowDirect:       true,
	})
	if err != nil {
		return fmt.Errorf("open dead letters: %w", err)
	}
	return nil
}

// openProfiles makes the store of profiles: a bucket whose values may be overwritten on
// disk, which the client's own buckets deny.
func (st *stores) openProfiles(ctx context.Context, js jetstream.JetStream) (err error) {
	st.people, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:                   "KV_" + profileBucket,
		Description:            "profiles of known people, by site and the keyed hash of their id",
		Subjects:               []string{profileSubject + ">"},
		Storage:                jetstream.FileStorage,
		Retention:              jetstream.LimitsPolicy,
		Discard:                jetstream.DiscardNew,
		MaxBytes:               maxPeopleBytes,
		MaxMsgsPerSubject:      1,
		AllowRollup:            true,
		AllowDirect:            true,
		AllowMsgTTL:            true,
		SubjectDeleteMarkerTTL: deletedAge,
	})
	if err != nil {
		return fmt.Errorf("open profiles: %w", err)
	}
	if st.profiles, err = js.KeyValue(ctx, profileBucket); err != nil {
		return fmt.Errorf("open profiles: %w", err)
	}
	return nil
}
