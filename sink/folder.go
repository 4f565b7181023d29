// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nearside/nearside/edge"
)

// A format is how events lie in a folder's files.
type format interface {
	// extension ends the names of files, with its dot.
	extension() string
	// check returns a *refusalError for an event that cannot be in a file.
	check(e *Event) error
	// create begins a file.
	create(f *os.File) (fileWriter, error)
	// holds reports whether a file has an event that drop says yes to.
	holds(f *os.File, drop dropper) (bool, error)
	// copy writes the other events to a new file and returns how many.
	copy(to fileWriter, from *os.File, drop dropper) (kept int, err error)
	// find counts a person's events in a file.
	find(f *os.File, t *edge.Traces) (uint64, error)
}

// A dropper says of an event, by whose it is and its message, whether it goes.
type dropper func(person string, seq uint64) bool

// A fileWriter writes one file.
type fileWriter interface {
	// add adds an event, or fails as check does; the file is as before then.
	add(e *Event) error
	// finish writes what is left; the file is not closed.
	finish() error
}

// A refusalError says why an event cannot be in a file.
type refusalError struct{ reason, detail string }

func (e *refusalError) Error() string { return e.detail }

// A folder is a sink of files. Events gather in parts, one per day, site and day
// of expiry. All parts become files together: each is synced, then the state file
// names them and the log's message up to which they go, then they get their
// names. Whenever the machine stops, the state says what is a file and where to
// go on, so every event is in exactly one file.
//
//	DIR/state.json
//	DIR/day=2026-11-27/site=shop/20261127T093000Z-4711-until-20271231.jsonl
//
// The day is that of the event, and until the day after which no event of the
// file may be kept: the file goes then.
type folder struct {
	spec   *Spec
	format format
	lock   *os.File
	now    func() time.Time

	durable uint64 // as in the state file, or newer where there was nothing to write
	end     uint64 // of the newest batch
	last    place  // of the newest event that was added
	had     place  // of the newest event that was in a file when the folder was opened
	parts   map[partKey]*part
	first   time.Time // when the oldest event came that is not durable
	bytes   int64     // of the events that are not durable
	swept   time.Time
}

type partKey struct{ day, site, until string }

// A place is an event's in the log.
type place struct {
	Seq   uint64 `json:"seq"`
	Index int    `json:"index"`
}

func (p place) before(o place) bool { return p.Seq < o.Seq || p.Seq == o.Seq && p.Index < o.Index }

// A part is a file in the making.
type part struct {
	name   string // the file's, below the folder's directory
	file   *os.File
	writer fileWriter
}

// A folderState is what the state file says.
type folderState struct {
	Version int    `json:"version"`
	Sink    string `json:"sink"`
	// Durable is the newest message of the log up to which files go.
	Durable uint64 `json:"durable"`
	// Last is the newest event in the files. It lies behind Durable when a batch
	// had more days than there are parts.
	Last place `json:"last"`
	// Files were made last; a part of such a name is a file.
	Files []string `json:"files"`
}

const (
	stateFile    = "state.json"
	stateVersion = 1
	// maxStateBytes bounds it: maxParts names.
	maxStateBytes = 64 << 10
	// maxParts bounds the parts, and so open files; an import of old events has
	// many days.
	maxParts = 64

	partSuffix = ".part" // a file in the making
	newSuffix  = ".new"  // a file that takes the place of another
	wipeSuffix = ".wipe" // a file to be overwritten and deleted

	noExpiry = "99991231"

	dayFormat   = "2006-01-02"
	untilFormat = "20060102"
	startFormat = "20060102T150405Z"

	// sweepEvery is the time between two looks for files whose day is over.
	sweepEvery = 10 * time.Minute
)

// openFolder opens or makes a folder, and ends what an earlier process left
// undone.
func openFolder(s *Spec, f format, c Circumstances) (Sink, error) {
	if err := os.MkdirAll(s.Dir, 0o750); err != nil {
		return nil, err
	}
	d := &folder{spec: s, format: f, now: c.Now, parts: map[partKey]*part{}}
	var err error
	if d.lock, err = os.OpenFile(filepath.Join(s.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		d.lock.Close()
		return nil, fmt.Errorf("%s is in use by another sink or process: %w", s.Dir, err)
	}
	if err := d.recover(c.Newest); err != nil {
		d.lock.Close()
		return nil, err
	}
	return d, nil
}

// recover reads the state, gives its files their names, and removes the rest.
func (d *folder) recover(newest uint64) error {
	state := folderState{}
	text, err := readBounded(d.path(stateFile), maxStateBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &state); err != nil || state.Version != stateVersion {
			return fmt.Errorf("%s is no state of version %d", d.path(stateFile), stateVersion)
		}
		if state.Sink != d.spec.Name {
			return fmt.Errorf("%s belongs to the sink %.40q", d.spec.Dir, state.Sink)
		}
	}
	if err := d.publish(state.Files); err != nil {
		return err
	}
	if state.Durable > newest {
		// The log is another one, or an older state of the same: its next messages
		// have numbers that were used before.
		state = folderState{stateVersion, d.spec.Name, newest, place{}, nil}
		if err := d.writeState(state); err != nil {
			return err
		}
	}
	d.durable, d.end = state.Durable, state.Durable
	if d.had = state.Last; d.had.Seq <= d.durable {
		d.had = place{d.durable, math.MaxInt}
	}
	d.last = d.had
	return d.walk("", func(name string) error {
		switch filepath.Ext(name) {
		case partSuffix, newSuffix:
			return os.Remove(name)
		case wipeSuffix:
			return wipe(name)
		}
		return nil
	})
}

func (d *folder) path(name string) string { return filepath.Join(d.spec.Dir, name) }

// walk calls fn with the path of each file, of one site's or of all with "".
func (d *folder) walk(site string, fn func(path string) error) error {
	pattern := filepath.Join(escapeGlob(d.spec.Dir), "day=*", "site=*", "*")
	if site != "" {
		pattern = filepath.Join(escapeGlob(d.spec.Dir), "day=*", "site="+site, "*")
	}
	names, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := fn(name); err != nil {
			return err
		}
	}
	return nil
}

// escapeGlob makes a path mean itself to filepath.Glob.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Write implements Sink.
func (d *folder) Write(_ context.Context, b Batch) (Receipt, error) {
	var out Receipt
	for i := range b.Events {
		e := &b.Events[i]
		var err error
		if !b.Now && !d.had.before(place{e.Seq, e.Index}) {
			err = d.format.check(e) // it is in a file, or was refused
		} else {
			err = d.add(e)
		}
		refused, ok := errors.AsType[*refusalError](err)
		if err != nil && !ok {
			return out, err
		}
		if ok {
			out.Refused = append(out.Refused, Refusal{Event: i, Reason: refused.reason, Detail: refused.detail, Tries: 1})
		}
	}
	d.end = max(d.end, b.End)
	if d.due() || b.Now {
		if err := d.commit(); err != nil {
			return out, err
		}
	}
	if len(d.parts) == 0 {
		d.durable = d.end
	}
	out.Durable = d.durable
	if now := d.now(); now.Sub(d.swept) >= sweepEvery {
		d.swept = now
		return out, d.sweep(now)
	}
	return out, nil
}

func (d *folder) due() bool {
	return len(d.parts) > 0 && (d.bytes >= d.spec.RotateBytes || len(d.parts) >= maxParts || d.now().Sub(d.first) >= d.spec.RotateAfter)
}

// add puts an event into its part.
func (d *folder) add(e *Event) error {
	key := partKey{day: e.At.UTC().Format(dayFormat), site: e.Site, until: noExpiry}
	if !e.Expires.IsZero() {
		key.until = e.Expires.UTC().Format(untilFormat)
	}
	p := d.parts[key]
	if p == nil {
		if len(d.parts) >= maxParts {
			if err := d.commit(); err != nil {
				return err
			}
		}
		if err := d.format.check(e); err != nil {
			return err // and make no file for it
		}
		var err error
		if p, err = d.begin(key, e.Seq); err != nil {
			return err
		}
	}
	if err := p.writer.add(e); err != nil {
		return err
	}
	if d.bytes == 0 {
		d.first = d.now()
	}
	d.bytes += int64(len(e.JSON))
	if at := (place{e.Seq, e.Index}); d.last.before(at) {
		d.last = at
	}
	return nil
}

// begin makes a part with a name that no file has.
func (d *folder) begin(key partKey, seq uint64) (*part, error) {
	dir := filepath.Join("day="+key.day, "site="+key.site)
	if err := d.makeDirs(dir); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		again := ""
		if n > 0 {
			again = fmt.Sprintf("-%d", n)
		}
		name := filepath.Join(dir, fmt.Sprintf("%s-%d%s-until-%s%s", d.now().UTC().Format(startFormat), seq, again, key.until, d.format.extension()))
		if _, err := os.Lstat(d.path(name)); err == nil {
			continue
		}
		f, err := os.OpenFile(d.path(name+partSuffix), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		w, err := d.format.create(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		p := &part{name: name, file: f, writer: w}
		d.parts[key] = p
		return p, nil
	}
}

// makeDirs makes directories below the folder's so that they outlive a power cut.
func (d *folder) makeDirs(dir string) error {
	if _, err := os.Stat(d.path(dir)); err == nil {
		return nil
	}
	if err := os.MkdirAll(d.path(dir), 0o750); err != nil {
		return err
	}
	return errors.Join(syncDir(d.path(filepath.Dir(dir))), syncDir(d.spec.Dir))
}

// commit makes files of the parts.
func (d *folder) commit() error {
	if len(d.parts) == 0 {
		return nil
	}
	var names []string
	for _, p := range d.parts {
		if err := p.writer.finish(); err != nil {
			return err
		}
		if err := p.file.Sync(); err != nil {
			return err
		}
		names = append(names, p.name)
	}
	slices.Sort(names)
	if err := syncDirs(d, names); err != nil {
		return err
	}
	if err := d.writeState(folderState{stateVersion, d.spec.Name, d.end, d.last, names}); err != nil {
		return err
	}
	d.durable = d.end
	for key, p := range d.parts {
		p.file.Close()
		delete(d.parts, key)
	}
	d.bytes = 0
	return d.publish(names)
}

func (d *folder) writeState(state folderState) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return writeSynced(d.path(stateFile), append(text, '\n'))
}

// publish gives the files of a state their names.
func (d *folder) publish(names []string) error {
	moved := false
	for _, name := range names {
		err := os.Rename(d.path(name+partSuffix), d.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		moved = moved || err == nil
	}
	if !moved {
		return nil
	}
	return syncDirs(d, names)
}

func syncDirs(d *folder, names []string) error {
	var dirs []string
	for _, name := range names {
		dirs = append(dirs, d.path(filepath.Dir(name)))
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Sink. The parts stay for recover: after a write error only the
// state on disk says which of them are files.
func (d *folder) Close() error {
	for _, p := range d.parts {
		p.file.Close()
	}
	d.parts = nil
	return d.lock.Close()
}
