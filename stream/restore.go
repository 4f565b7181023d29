// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/archive"
)

// ErrBackup reports a backup that cannot be restored: cut short, damaged, or no
// backup at all.
var ErrBackup = errors.New("backup cannot be restored")

// ErrNotEmpty reports a directory that holds data already.
var ErrNotEmpty = errors.New("data directory is not empty")

// Restore makes a data directory from what Backup wrote, reads all of it again and
// compares. Until it is through, the directory has no format file, so that Open
// refuses what an interrupted restore left.
//
// allowed are the paths that files of the backup may have: a file's own, or a
// directory's for all below it. The error is ErrNotEmpty for a directory with
// data in it, ErrFormat for a backup of a newer format, and ErrBackup for one that
// is damaged.
func Restore(ctx context.Context, r io.Reader, o Options, allowed ...string) (report BackupReport, err error) {
	o = o.withDefaults()
	if err := checkEmpty(o.Dir, allowed); err != nil {
		return report, err
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, serverDir), 0o700); err != nil {
		return report, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	in := &backupReader{tar: tar.NewReader(r), sum: sha256.New(), o: o, allowed: allowed}
	head, err := in.head()
	if err != nil {
		return report, err
	}
	// Without a sync for each message: all of it is synced at the end.
	if in.b, err = startBroker(&o, false); err != nil {
		return report, err
	}
	err = in.rest(ctx)
	in.b.close()
	if err != nil {
		return report, fmt.Errorf("restore: %w", err)
	}
	if err := syncStored(o.Dir); err != nil {
		return report, err
	}
	return reportOf(head, in.end), writeFormat(o.Dir, filepath.Join(o.Dir, formatFile))
}

// CheckBackup reads a backup to its end and reports what it holds. The error is
// ErrBackup for one that is cut short or damaged, and ErrFormat for one that
// Restore would not know.
func CheckBackup(r io.Reader) (BackupReport, error) {
	in := &backupReader{tar: tar.NewReader(r), sum: sha256.New()}
	head, err := in.head()
	if err != nil {
		return BackupReport{}, err
	}
	for {
		name, content, err := in.next()
		switch {
		case err != nil:
			return BackupReport{}, err
		case name != backupEnd:
			sumEntry(in.sum, name, content)
			continue
		}
		if json.Unmarshal(content, &in.end) != nil || in.end.Sum != hex.EncodeToString(in.sum.Sum(nil)) {
			return BackupReport{}, damagedBackup("its checksum differs")
		}
		return reportOf(head, in.end), nil
	}
}

// checkEmpty returns ErrNotEmpty for a directory that holds data, or one of the
// files that a backup may bring.
func checkEmpty(dir string, allowed []string) error {
	for _, name := range append([]string{formatFile, serverDir}, allowed...) {
		entry, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at data directory: %w", err)
		}
		if inside, err := os.ReadDir(filepath.Join(dir, name)); entry.IsDir() && err == nil && len(inside) == 0 {
			continue
		}
		return fmt.Errorf("%w: %s is there", ErrNotEmpty, filepath.Join(dir, name))
	}
	return nil
}

// A backupReader reads one backup into a directory.
type backupReader struct {
	tar     *tar.Reader
	sum     hash.Hash
	o       Options
	allowed []string
	b       *broker
	filling *storeFill // the store whose messages come, or nil
	end     backupEnding
	stores  []string // that are complete
	files   []string
}

func damagedBackup(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBackup, fmt.Sprintf(format, args...))
}

// next returns the next entry.
func (r *backupReader) next() (name string, content []byte, err error) {
	h, err := r.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return "", nil, damagedBackup("it ends early")
	case err != nil:
		return "", nil, damagedBackup("%v", err)
	case h.Typeflag != tar.TypeReg || hasHoles(h) || h.Size > maxBackupFile || !strings.HasPrefix(h.Name, filePrefix) && h.Size > maxPieceBytes:
		return "", nil, damagedBackup("entry %.100q is none of a backup, or too large", h.Name)
	}
	if content, err = io.ReadAll(r.tar); err != nil {
		return "", nil, damagedBackup("%v", err)
	}
	return h.Name, content, nil
}

// hasHoles reports whether an entry's bytes are fewer than its size, so that an
// archive of a few bytes could be gigabytes to read.
func hasHoles(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// head reads how the backup begins, and refuses what this program does not know.
func (r *backupReader) head() (head backupFormat, err error) {
	name, content, err := r.next()
	if err != nil {
		return head, err
	}
	if name != backupHead || json.Unmarshal(content, &head) != nil || head.Backup < 1 || head.Format < 1 {
		return head, damagedBackup("it does not begin like one")
	}
	if head.Backup > backupVersion || head.Format > FormatVersion {
		return head, fmt.Errorf("%w: the backup has version %d of format %d, this program knows up to %d of %d: use a newer program",
			ErrFormat, head.Backup, head.Format, backupVersion, FormatVersion)
	}
	sumEntry(r.sum, name, content)
	return head, nil
}

// rest reads everything behind the head, and compares what is on disk then.
func (r *backupReader) rest(ctx context.Context) error {
	defer func() {
		if r.filling != nil {
			r.filling.fail()
		}
	}()
	for {
		name, content, err := r.next()
		if err != nil {
			return err
		}
		if name == backupEnd {
			return r.finish(ctx, content)
		}
		sumEntry(r.sum, name, content)
		if rel, ok := strings.CutPrefix(name, filePrefix); ok {
			err = r.file(rel, content)
		} else {
			err = r.store(ctx, name, content)
		}
		if err != nil {
			return err
		}
	}
}

// file writes a file beside the stores.
func (r *backupReader) file(name string, content []byte) error {
	if !filepath.IsLocal(name) || !slices.ContainsFunc(r.allowed, func(a string) bool { return name == a || strings.HasPrefix(name, a+"/") }) {
		return damagedBackup("it holds file %.100q", name)
	}
	full := filepath.Join(r.o.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		return err
	}
	if err := writeSynced(full, content); err != nil {
		return err
	}
	r.files = append(r.files, name)
	return syncFile(filepath.Dir(full))
}

// store takes an entry of a store: its state, or some of its messages.
func (r *backupReader) store(ctx context.Context, name string, content []byte) error {
	store, kind, _ := strings.Cut(strings.TrimPrefix(name, streamPrefix), "/")
	switch {
	case storeNames[store] == "" || !strings.HasPrefix(name, streamPrefix):
		return damagedBackup("it holds entry %.100q", name)
	case kind == stateEntry:
		var state backupState
		if json.Unmarshal(content, &state) != nil || state.First > state.Last+1 {
			return damagedBackup("the state of %s", store)
		}
		if err := r.endStore(); err != nil {
			return err
		}
		if slices.Contains(r.stores, store) {
			return damagedBackup("it holds %s twice", store)
		}
		fill, err := r.b.fill(ctx, store, state)
		r.filling = fill
		return err
	case kind == messagesEntry && r.filling != nil && r.filling.name == store:
		return r.filling.messages(content)
	}
	return damagedBackup("entry %.100q is out of place", name)
}

// endStore ends the store whose messages came.
func (r *backupReader) endStore() error {
	if r.filling == nil {
		return nil
	}
	fill := r.filling
	r.filling = nil
	r.stores = append(r.stores, fill.name)
	return fill.close()
}

// finish compares what the backup says of itself with what came, and with what
// can be read from disk.
func (r *backupReader) finish(ctx context.Context, content []byte) error {
	if err := r.endStore(); err != nil {
		return err
	}
	if json.Unmarshal(content, &r.end) != nil || r.end.Sum != hex.EncodeToString(r.sum.Sum(nil)) {
		return damagedBackup("its checksum differs")
	}
	slices.Sort(r.files)
	if !slices.Equal(r.files, r.end.Files) || len(r.stores) != len(r.end.Stores) {
		return damagedBackup("it lacks a part")
	}
	for _, name := range r.stores {
		stream, err := r.b.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		check := newStoreSum(stream.CachedInfo().Config.MaxMsgsPerSubject == 1)
		if err := r.b.readThrough(ctx, stream, position{seq: 1}, func(m message) error {
			check.add(&m)
			return nil
		}); err != nil {
			return err
		}
		if got, want := check.result(), r.end.Stores[name]; got != want {
			return fmt.Errorf("%s was restored with %d messages of %d, or changed: the disk is not to be trusted, or the backup is older than what it holds may be",
				storeNames[name], got.Messages, want.Messages)
		}
	}
	return nil
}

// A storeFill puts a store's messages back where they were. The server reads them
// in a format of its own, from a pipe.
type storeFill struct {
	name string
	pipe *io.PipeWriter
	s2   *s2.Writer
	out  *archive.Writer
	done chan struct{} // closed when the server is through, with err
	err  error
	last uint64
}

// fill begins to put messages back into a store, which is empty.
func (b *broker) fill(ctx context.Context, name string, state backupState) (*storeFill, error) {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	var cfg server.StreamConfig
	text, err := json.Marshal(stream.CachedInfo().Config)
	if err == nil {
		err = json.Unmarshal(text, &cfg)
	}
	if err = errors.Join(err, b.js.DeleteStream(ctx, name)); err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	f := &storeFill{name: name, pipe: writer, s2: s2.NewWriter(writer, s2.WriterUncompressed()), done: make(chan struct{})}
	f.out = archive.NewWriter(f.s2)
	go func() {
		_, err := b.srv.GlobalAccount().RestoreStreamV2(&cfg, reader)
		if err == nil {
			_, err = io.Copy(io.Discard, reader)
		}
		_ = reader.CloseWithError(errors.Join(errors.New("the server takes no more"), err)) // never fails
		f.err = err
		close(f.done)
	}()
	head, err := json.Marshal(server.StreamState{FirstSeq: state.First, LastSeq: state.Last})
	if err != nil {
		return f, err
	}
	return f, f.entry(&archive.Header{Name: "state.json", PayloadSize: int64(len(head))}, head)
}

func (f *storeFill) entry(h *archive.Header, parts ...[]byte) error {
	if err := f.out.WriteHeader(h); err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := f.out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// messages puts a piece's messages back.
func (f *storeFill) messages(piece []byte) error {
	for r := (frameReader{left: piece}); len(r.left) > 0; {
		m, ok := r.saved()
		if !ok || m.seq <= f.last {
			return damagedBackup("a message of %s behind number %d", f.name, f.last)
		}
		f.last = m.seq
		h := &archive.Header{Name: string(m.subject), Sequence: m.seq, Timestamp: m.stored, HeaderSize: int64(len(m.header)), PayloadSize: int64(len(m.data))}
		if err := f.entry(h, m.header, m.data); err != nil {
			return err
		}
	}
	return nil
}

// A savedMessage is a message of a backup. It borrows the piece's bytes.
type savedMessage struct {
	seq                   uint64
	stored                int64
	subject, header, data []byte
}

// saved reads what appendMessage wrote, and reports whether it is whole.
func (r *frameReader) saved() (m savedMessage, ok bool) {
	seq, n := binary.Uvarint(r.left)
	if n <= 0 {
		return m, false
	}
	r.take(n)
	m.seq = seq
	if m.stored, n = binary.Varint(r.left); n <= 0 {
		return m, false
	}
	r.take(n)
	for _, part := range []*[]byte{&m.subject, &m.header, &m.data} {
		if *part, ok = r.text(maxPieceBytes); !ok {
			return m, false
		}
	}
	return m, true
}

// close ends the store and waits until the server has taken it.
func (f *storeFill) close() error {
	err := f.entry(&archive.Header{})
	err = errors.Join(err, f.s2.Close(), f.pipe.Close())
	if <-f.done; f.err != nil {
		return fmt.Errorf("put %s back: %w", storeNames[f.name], f.err)
	}
	return err
}

// fail gives the store up.
func (f *storeFill) fail() {
	_ = f.pipe.CloseWithError(errors.New("the restore has failed")) // never fails
	<-f.done
}
