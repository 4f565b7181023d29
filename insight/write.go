// SPDX-License-Identifier: Apache-2.0

package insight

import (
	"context"
	"encoding/json"
	"strings"
)

// cursorNote says how far the log was read.
const cursorNote = "counts.cursor"

// write writes the days that have changed, drops those that are too old, and
// then writes how far the log was read. A crash in between leaves days that are
// ahead of the cursor, and each day knows which events it has.
func (t *Tally) write(ctx context.Context) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	read, changed, old, err := t.take()
	if err != nil {
		return err
	}
	for k, value := range changed {
		if err := t.put(ctx, k.note(), value); err != nil {
			t.untake(changed)
			return err
		}
		delete(changed, k)
	}
	for _, k := range old {
		if err := t.drop(ctx, k.note()); err != nil {
			return err
		}
		t.mu.Lock()
		delete(t.days, k)
		t.mu.Unlock()
	}
	if read == t.written {
		return nil
	}
	value, err := json.Marshal(read)
	if err != nil {
		return err
	}
	if err := t.put(ctx, cursorNote, value); err != nil {
		return err
	}
	t.written = read
	return nil
}

// take returns what there is to write, and counts it as written.
func (t *Tally) take() (read Position, changed map[dayKey][]byte, old []dayKey, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed = map[dayKey][]byte{}
	oldest := dayOf(t.o.Now().AddDate(0, 0, -t.o.Days))
	for k, d := range t.days {
		switch {
		case k.day < oldest:
			old = append(old, k)
		case d.changed:
			if changed[k], err = json.Marshal(d); err != nil {
				return Position{}, nil, nil, err
			}
		}
	}
	for k := range changed {
		t.days[k].changed = false
	}
	return t.read, changed, old, nil
}

// untake takes back that days count as written.
func (t *Tally) untake(changed map[dayKey][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range changed {
		t.days[k].changed = true
	}
}

// unsure stands for the revision of a note whose last change may have come
// through or not.
const unsure = ^uint64(0)

func (t *Tally) put(ctx context.Context, key string, value []byte) error {
	revision, err := t.revision(ctx, key)
	if err != nil {
		return err
	}
	t.revisions[key] = unsure
	next, err := t.o.Notes.PutNote(ctx, key, value, revision)
	if err == nil {
		t.revisions[key] = next
	}
	return err
}

func (t *Tally) drop(ctx context.Context, key string) error {
	revision, err := t.revision(ctx, key)
	if err != nil {
		return err
	}
	t.revisions[key] = unsure
	if revision != 0 {
		err = t.o.Notes.DeleteNote(ctx, key, revision)
	}
	if err == nil {
		delete(t.revisions, key)
	}
	return err
}

// revision returns a note's revision; the store is asked when it is unsure.
func (t *Tally) revision(ctx context.Context, key string) (uint64, error) {
	revision := t.revisions[key]
	if revision != unsure {
		return revision, nil
	}
	notes, err := t.o.Notes.Notes(ctx, key[:strings.LastIndexByte(key, '.')])
	for _, n := range notes {
		if n.Key == key {
			return n.Revision, err
		}
	}
	return 0, err
}
