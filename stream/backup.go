// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"archive/tar"
	"bytes"
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
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// A backup is a tar archive, so that it can be written while it is made.
//
//	backup.json           first: the versions and when it was made
//	stream/NAME/state     a store's numbers, as a backupState
//	stream/NAME/messages  its messages, in order; as many such entries as needed
//	file/PATH             files that lie beside the stores
//	end.json              last: what was written, and its SHA-256
//
//	message = seq:uvarint stored:varint subject header data
//	string  = length:uvarint bytes
//
// stored is in nanoseconds since the Unix epoch. The sum in end.json is over each
// entry before it: its name, a zero byte, its length as 8 bytes, its content. An
// archive without end.json was cut short.
const (
	backupVersion = 1
	backupHead    = "backup.json"
	backupEnd     = "end.json"
	streamPrefix  = "stream/"
	filePrefix    = "file/"
	stateEntry    = "state"
	messagesEntry = "messages"
)

const (
	// pieceBytes is when an entry of messages is full.
	pieceBytes = 4 << 20
	// maxPieceBytes bounds an entry of messages as it is read: one message, at
	// most 1 MB, may come on top of a piece that is nearly full.
	maxPieceBytes = pieceBytes + 2<<20
	// maxBackupFile bounds a file beside the stores.
	maxBackupFile = 64 << 20
)

// backupOrder is the order in which stores are read while they change. What names
// something comes before what is named: pointers before documents, notes and
// marks before the events that they count up to. What leaves a log to be written
// anew is still in it, or in what is read after it, or in both; then its erasure is
// not yet done in what was read before. Keys come last: what is in the others may be
// sealed with any.
var backupOrder = []string{
	"KV_" + pointerBucket, "KV_" + noteBucket, "KV_" + reserveBucket, "KV_" + flowBucket, deadStream,
	"KV_" + itemBucket, "KV_" + profileBucket, auditStream, "OBJ_" + moduleBucket, "OBJ_" + bodyBucket, recordStream, eventStream, rewrittenStream, "KV_" + keyBucket,
}

// A BackupReport is what a backup holds.
type BackupReport struct {
	// Format is the version of the data, and Program the one of the program that
	// wrote the backup, at At.
	Format  int       `json:"format"`
	Program string    `json:"program"`
	At      time.Time `json:"at"`
	// Stores are the stores' messages, by the names that Stats gives them.
	Stores map[string]uint64 `json:"stores"`
	// Files are the paths of the files beside them, sorted.
	Files []string `json:"files"`
}

// backupFormat is what a backup begins with.
type backupFormat struct {
	Backup  int       `json:"backup"`
	Format  int       `json:"format"`
	Program string    `json:"program"`
	At      time.Time `json:"at"`
}

// A backupState is what is known of a store before its messages are read. Later
// messages can have higher numbers than Last.
type backupState struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// backupEnding is what a backup ends with.
type backupEnding struct {
	Sum    string                `json:"sha256"`
	Stores map[string]storeCheck `json:"stores"`
	Files  []string              `json:"files"`
}

// A storeCheck is what is compared after a store was restored.
type storeCheck struct {
	Messages uint64 `json:"messages"`
	Sum      string `json:"sha256"`
}

// Backup writes all that the Stream keeps, and files below its directory, to w as
// a tar archive: every event acknowledged before the call, the releases, modules
// and notes, what follows from them, and what came meanwhile or not. files are
// slash-separated paths; of a directory, everything below it that is no link; what
// is not there is left out. Events are stored meanwhile as ever.
//
// A backup that ends with an error is useless, and Restore refuses it. The archive
// is not encrypted: with the key file it reads and forges every visitor's state.
func (s *Stream) Backup(ctx context.Context, w io.Writer, program string, files ...string) (BackupReport, error) {
	s.mu.Lock()
	stored := s.stored
	s.mu.Unlock()
	b, err := s.current(ctx)
	if err != nil {
		return BackupReport{}, fmt.Errorf("back up: %w", err)
	}
	ctx, cancel := b.bound(ctx) // another broker's numbers could be others
	defer cancel()
	out := newBackupWriter(w)
	report, err := out.writeAll(ctx, backupSource{b, s.o.Dir, stored, files}, program)
	switch {
	case err != nil && b.gone():
		err = fmt.Errorf("the log was replaced meanwhile: try again: %w", err)
		fallthrough
	case err != nil:
		return BackupReport{}, fmt.Errorf("back up: %w", err)
	}
	return report, nil
}

// A backupSource is what a backup is made of.
type backupSource struct {
	b      *broker
	dir    string
	stored uint64 // the newest acknowledged message of the event log
	files  []string
}

// A backupWriter writes one backup.
type backupWriter struct {
	tar   *tar.Writer
	sum   hash.Hash
	piece []byte
	end   backupEnding
}

func newBackupWriter(w io.Writer) *backupWriter {
	return &backupWriter{tar: tar.NewWriter(w), sum: sha256.New(), end: backupEnding{Stores: map[string]storeCheck{}, Files: []string{}}}
}

func (w *backupWriter) writeAll(ctx context.Context, from backupSource, program string) (BackupReport, error) {
	head := backupFormat{Backup: backupVersion, Format: FormatVersion, Program: program, At: time.Now().UTC().Truncate(time.Second)}
	if err := w.entryJSON(backupHead, head); err != nil {
		return BackupReport{}, err
	}
	for _, name := range backupOrder {
		if err := w.store(ctx, from, name); err != nil {
			return BackupReport{}, fmt.Errorf("%s: %w", storeNames[name], err)
		}
	}
	for _, name := range from.files {
		if err := w.files(from.dir, name); err != nil {
			return BackupReport{}, err
		}
	}
	slices.Sort(w.end.Files)
	w.end.Sum = hex.EncodeToString(w.sum.Sum(nil))
	if err := w.entryJSON(backupEnd, w.end); err != nil {
		return BackupReport{}, err
	}
	return reportOf(head, w.end), w.tar.Close()
}

func reportOf(head backupFormat, end backupEnding) BackupReport {
	r := BackupReport{Format: head.Format, Program: head.Program, At: head.At, Stores: map[string]uint64{}, Files: end.Files}
	for name, check := range end.Stores {
		r.Stores[storeNames[name]] = check.Messages
	}
	return r
}

// entry writes one entry of the archive.
func (w *backupWriter) entry(name string, content []byte) error {
	err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	sumEntry(w.sum, name, content)
	_, err = w.tar.Write(content)
	return err
}

func sumEntry(sum hash.Hash, name string, content []byte) {
	sum.Write(binary.BigEndian.AppendUint64(append([]byte(name), 0), uint64(len(content))))
	sum.Write(content)
}

func (w *backupWriter) entryJSON(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.entry(name, text)
}

// store writes one store as it is, up to its end or, of the event log, to what is
// acknowledged.
func (w *backupWriter) store(ctx context.Context, from backupSource, name string) error {
	stream, err := from.b.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	state := backupState{First: info.State.FirstSeq, Last: info.State.LastSeq}
	upTo := uint64(1<<64 - 1)
	if name == eventStream {
		upTo = from.stored
		state.Last = min(state.Last, upTo)
	}
	if err := w.entryJSON(streamPrefix+name+"/"+stateEntry, state); err != nil {
		return err
	}
	check := newStoreSum(info.Config.MaxMsgsPerSubject == 1)
	for at := (position{seq: 1}); ; {
		// A scan that was interrupted goes on where it was.
		err := from.b.readAll(ctx, stream, &at, upTo, func(m message) error {
			if at.seq = m.seq + 1; m.seq > upTo {
				return nil
			}
			w.piece = appendMessage(w.piece, &m)
			check.add(&m)
			if len(w.piece) < pieceBytes {
				return nil
			}
			return w.flushPiece(name)
		})
		if errors.Is(err, errScan) {
			continue
		}
		if err != nil {
			return err
		}
		w.end.Stores[name] = check.result()
		return w.flushPiece(name)
	}
}

func (w *backupWriter) flushPiece(store string) error {
	if len(w.piece) == 0 {
		return nil
	}
	err := w.entry(streamPrefix+store+"/"+messagesEntry, w.piece)
	w.piece = w.piece[:0]
	return err
}

// files writes a file, or the files below a directory.
func (w *backupWriter) files(dir, name string) error {
	return filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(name)), func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() > maxBackupFile {
			return errors.Join(err, fmt.Errorf("file %s is larger than %d bytes", file, maxBackupFile))
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		w.end.Files = append(w.end.Files, rel)
		return w.entry(path.Join(filePrefix, rel), content)
	})
}

// appendMessage adds a message to a piece.
func appendMessage(b []byte, m *message) []byte {
	b = binary.AppendVarint(binary.AppendUvarint(b, m.seq), m.stored.UnixNano())
	return appendText(appendText(appendText(b, m.subject), headerBytes(m.header)), m.data)
}

// headerBytes writes a message's header as the server stores it, sorted.
func headerBytes(h nats.Header) []byte {
	if len(h) == 0 {
		return nil
	}
	var b bytes.Buffer
	b.WriteString("NATS/1.0\r\n")
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		for _, value := range h[key] {
			b.WriteString(key + ": " + value + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// A storeSum sums up what a store holds, in any order. In a store that keeps only
// the newest message of a subject, a newer one takes the place of an older one.
type storeSum struct {
	n      uint64
	sum    [sha256.Size]byte
	newest map[string][sha256.Size]byte // nil where a subject has many messages
}

func newStoreSum(one bool) *storeSum {
	s := &storeSum{}
	if one {
		s.newest = map[string][sha256.Size]byte{}
	}
	return s
}

func (s *storeSum) add(m *message) {
	sum := sha256.Sum256(appendMessage(nil, m))
	if s.newest != nil {
		if old, ok := s.newest[m.subject]; ok {
			s.toggle(old)
			s.n--
		}
		s.newest[strings.Clone(m.subject)] = sum
	}
	s.toggle(sum)
	s.n++
}

func (s *storeSum) toggle(sum [sha256.Size]byte) {
	for i := range sum {
		s.sum[i] ^= sum[i]
	}
}

func (s *storeSum) result() storeCheck { return storeCheck{s.n, hex.EncodeToString(s.sum[:])} }
