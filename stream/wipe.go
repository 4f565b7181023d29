// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The server deletes a message securely in two steps: it notes that the message
// is deleted, and then writes the message's block file anew with the message's
// bytes replaced by random ones, syncs that and puts it in the old one's place
// (nats-server 2.15.2, fileStore.removeMsgFromBlock and msgBlock.atomicOverwriteFile).
// It syncs no directory, so a power cut may bring the old file back; and a kill
// between the steps leaves bytes that the server takes for gone.
//
// So what is to be wiped is written into a file first, and whatever that file names
// when a Stream is opened is wiped from the block files before the server starts.
//
//	wipe = (STORE NUMBER [gone]\n)…
//
// gone is what the server takes for deleted already.
const wipeFile = "wipe"

const (
	// wipeAtOnce is how many messages a wipe file names at most.
	wipeAtOnce = 32
	// wipeRoom is how much room the disk must have: a block file, of 8 MB at most,
	// is written beside the old one, and a write that fails stops the store for
	// whoever else writes.
	wipeRoom = 64 << 20
	// wipePause: after each message the store is left to others for as many times as
	// long as it took, for it takes nothing meanwhile.
	wipePause = 2
)

// errNoRoom reports a disk that is too full to erase anything without harm to
// others.
var errNoRoom = errors.New("the disk has too little room to write block files anew")

// wipe overwrites messages of a store and deletes them. What is not there is no
// error. One wipe runs at a time.
func (s *Stream) wipe(ctx context.Context, b *broker, store string, seqs []uint64) error {
	for len(seqs) > 0 {
		n := min(len(seqs), wipeAtOnce)
		if err := s.wipeSome(ctx, b, store, seqs[:n]); err != nil {
			return fmt.Errorf("overwrite messages of %s: %w", storeNames[store], err)
		}
		seqs = seqs[n:]
	}
	return nil
}

func (s *Stream) wipeSome(ctx context.Context, b *broker, store string, seqs []uint64) error {
	s.wiping.Lock()
	defer s.wiping.Unlock()
	if err := s.checkRoom(); err != nil {
		return err
	}
	stream, err := b.js.Stream(ctx, store)
	if err != nil {
		return err
	}
	name := filepath.Join(s.o.Dir, wipeFile)
	before, err := os.ReadFile(name) // what a wipe that failed named
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := bytes.Clone(before)
	for _, seq := range seqs {
		text = fmt.Appendf(text, "%s %d\n", store, seq)
	}
	if err := s.noteWipe(text); err != nil {
		return err
	}
	for _, seq := range seqs {
		if err := s.reach("wipe"); err != nil {
			return err
		}
		if err := s.checkRoom(); err != nil {
			return err
		}
		began := time.Now()
		if err := stream.SecureDeleteMsg(ctx, seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		sleep(ctx, wipePause*time.Since(began))
	}
	if err := syncFile(storeBlocks(s.o.Dir, store)); err != nil {
		return err
	}
	return s.noteWipe(before)
}

// noteWipe makes text the wipe file, or removes that.
func (s *Stream) noteWipe(text []byte) error {
	name := filepath.Join(s.o.Dir, wipeFile)
	if len(text) > 0 {
		return errors.Join(writeSynced(name, text), syncFile(s.o.Dir))
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// checkRoom returns errNoRoom on a disk that is nearly full.
func (s *Stream) checkRoom() error {
	free, err := s.room(s.o.Dir)
	if err == nil && free < wipeRoom {
		err = errNoRoom
	}
	return err
}

// freeBytes returns how much room a directory's disk has for us.
func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("ask for room on disk: %w", err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

func storeBlocks(dir, store string) string {
	return filepath.Join(dir, serverDir, "$G", "streams", store, blocksDir)
}

// finishWiping wipes what an interrupted wipe names, while no server runs. Where it
// cannot, on a full disk, the file stays for the next time, and the erasure is not
// done: that is no reason to take no events.
func (s *Stream) finishWiping() {
	s.wiping.Lock()
	defer s.wiping.Unlock()
	if err := finishWipe(s.o.Dir); err != nil {
		s.o.Logger.Error("what is erased is not overwritten yet", "error", err)
	}
}

// finishWipe wipes what the wipe file names, and removes it.
func finishWipe(dir string) error {
	name := filepath.Join(dir, wipeFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("finish erasing: %w", err)
	}
	named := map[string]wiping{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || storeNames[words[0]] == "" {
			return fmt.Errorf("finish erasing: %s does not say what to overwrite", name)
		}
		seq, err := strconv.ParseUint(words[1], 10, 64)
		if err != nil {
			return fmt.Errorf("finish erasing: %s: %w", name, err)
		}
		if named[words[0]] == nil {
			named[words[0]] = wiping{}
		}
		named[words[0]][seq] = len(words) == 3
	}
	for store, seqs := range named {
		if err := wipeStore(dir, store, seqs); err != nil {
			return fmt.Errorf("finish erasing: %w", err)
		}
	}
	return os.Remove(name)
}

// A wiping is the messages of a store that are to be overwritten, and whether the
// server takes each for deleted already.
type wiping map[uint64]bool

// wipeStore overwrites messages in a store's block files as the server does.
func wipeStore(dir, store string, seqs wiping) error {
	numbers, err := blocksWith(dir, store, seqs)
	if err != nil {
		return err
	}
	for number := range numbers {
		file := blockFile(dir, store, number)
		block, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		found, news := wipeBlock(block, seqs, blockHash(store, number))
		if !found {
			continue
		}
		if news { // without its notes the server reads its blocks
			if err := os.Remove(filepath.Join(storeBlocks(dir, store), stateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := writeSynced(file, block); err != nil {
			return err
		}
	}
	return syncFile(storeBlocks(dir, store))
}

func blockFile(dir, store string, number int) string {
	return filepath.Join(storeBlocks(dir, store), strconv.Itoa(number)+".blk")
}

// blockNumbers returns the numbers of a store's block files, from the oldest on.
func blockNumbers(dir, store string) (numbers []int, err error) {
	entries, err := os.ReadDir(storeBlocks(dir, store))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if n, ok := blockNumber(entry.Name()); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// blocksWith returns the numbers of the block files that messages can be in: of
// each, the last file that begins with no later one.
func blocksWith(dir, store string, seqs wiping) (map[int]bool, error) {
	numbers, err := blockNumbers(dir, store)
	if err != nil {
		return nil, err
	}
	var begin []uint64 // where each begins
	var known []int
	for _, n := range numbers {
		first, err := firstOf(blockFile(dir, store, n))
		if err != nil {
			return nil, err
		}
		if first > 0 {
			begin, known = append(begin, first), append(known, n)
		}
	}
	with := map[int]bool{}
	for seq := range seqs {
		if i, ok := slices.BinarySearch(begin, seq); ok {
			with[known[i]] = true
		} else if i > 0 {
			with[known[i-1]] = true
		}
	}
	return with, nil
}

// firstOf returns the number of the first message that a block file holds or held,
// 0 for none.
func firstOf(file string) (uint64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head [recordHead]byte
	for at := int64(0); ; {
		if _, err := f.ReadAt(head[:], at); errors.Is(err, io.EOF) {
			return 0, nil
		} else if err != nil {
			return 0, err
		}
		if seq := binary.LittleEndian.Uint64(head[4:]) &^ recordErased; seq > 0 && seq <= recordSeqMask {
			return seq, nil
		}
		length := binary.LittleEndian.Uint32(head[:]) &^ recordHeader // of a note that a message is deleted
		if length < recordHead+recordHash {
			return 0, nil
		}
		at += int64(length)
	}
}

// wipeBlock overwrites records in a block. It reports whether it had any, and
// whether the server may take one for a message.
func wipeBlock(block []byte, seqs wiping, h hash.Hash64) (found, news bool) {
	for at := 0; at < len(block); {
		n, seq := wholeRecord(block[at:], h)
		if n == 0 {
			break // salvage has looked through what the server reads
		}
		if gone, ok := seqs[seq]; ok {
			eraseRecord(block[at:at+n], seq, h)
			found, news = true, news || !gone
		}
		at += n
	}
	return found, news
}

// recordErased marks the number of a message that was erased.
const recordErased = 1 << 63

// eraseRecord makes a record the one that the server leaves of an erased message:
// as long as it was, without a subject or a time, of random bytes.
func eraseRecord(record []byte, seq uint64, h hash.Hash64) {
	binary.LittleEndian.PutUint32(record, uint32(len(record)))
	binary.LittleEndian.PutUint64(record[4:], seq|recordErased)
	clear(record[12:recordHead])
	rand.Read(record[recordHead : len(record)-recordHash]) // never fails: it ends the program instead (crypto/rand)
	h.Reset()
	h.Write(record[4:20])
	h.Write(record[recordHead : len(record)-recordHash])
	copy(record[len(record)-recordHash:], h.Sum(nil))
}

// isErasedRecord reports whether a record is of a message that was erased, or no
// message at all.
func isErasedRecord(record []byte) bool {
	return binary.LittleEndian.Uint64(record[4:])&recordErased != 0
}

// dropDamagedCopies deletes the copies of damaged files that may hold anything of
// a person: nobody can read them to say.
func (s *Stream) dropDamagedCopies() (n uint64, err error) {
	copies := filepath.Join(s.o.Dir, damagedDir)
	entries, err := os.ReadDir(copies)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		if !holdsPersons(entry.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(copies, entry.Name())); err != nil {
			return n, err
		}
		n++
	}
	return n, syncFile(copies)
}

// holdsAny reports whether bytes hold one of some texts.
func holdsAny(b []byte, texts [][]byte) bool {
	for _, text := range texts {
		if bytes.Contains(b, text) {
			return true
		}
	}
	return false
}
