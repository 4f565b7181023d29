// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// What a store has let go by age or by size, what took another's place and what was
// never acknowledged stays in a block file until the file goes, and the server
// overwrites nothing that it takes for deleted. So a pass ends with a look through
// the files themselves. What is found is named in the wipe file, and the server is
// replaced, as after a fault, by one that is started behind the wiping.

// personStores are the stores that hold what persons did.
var personStores = [...]string{eventStream, recordStream, rewrittenStream, deadStream}

// wipeLeftovers wipes what is in the files of the persons and is no message any
// more.
func (e *erasePass) wipeLeftovers(ctx context.Context) error {
	s := e.s
	var names []byte
	n := 0
	for _, store := range personStores {
		seqs, err := e.leftovers(ctx, store)
		if err != nil {
			return fmt.Errorf("look through the files of %s: %w", storeNames[store], err)
		}
		for _, seq := range seqs {
			names = fmt.Appendf(names, "%s %d gone\n", store, seq)
		}
		n += len(seqs)
	}
	if n == 0 {
		return nil
	}
	if err := s.checkRoom(); err != nil {
		return err
	}
	s.o.Logger.Info("the embedded server is replaced to overwrite what it had let go of persons who are erased", "messages", n)
	if err := s.addWipe(names); err != nil {
		return err
	}
	done := make(chan struct{})
	select {
	case s.renew <- done:
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	<-done
	if _, err := os.Stat(filepath.Join(s.o.Dir, wipeFile)); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errors.New("what was let go is not overwritten yet"), err)
	}
	return nil
}

// addWipe adds to the wipe file.
func (s *Stream) addWipe(names []byte) error {
	s.wiping.Lock()
	defer s.wiping.Unlock()
	before, err := os.ReadFile(filepath.Join(s.o.Dir, wipeFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.noteWipe(append(before, names...))
}

// leftovers returns the numbers of what in a store's files is of the persons, and no
// message of the store.
func (e *erasePass) leftovers(ctx context.Context, store string) (seqs []uint64, err error) {
	numbers, err := blockNumbers(e.s.o.Dir, store)
	if err != nil {
		return nil, err
	}
	var frame frameReader
	for _, number := range numbers {
		block, err := os.ReadFile(blockFile(e.s.o.Dir, store, number))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		h := blockHash(store, number)
		for at := 0; at < len(block); {
			n, seq := wholeRecord(block[at:], h)
			if n == 0 {
				break // it is being written
			}
			record := block[at : at+n]
			at += n
			if seq == 0 || !e.isOf(store, record, &frame) {
				continue
			}
			if gone, err := e.s.isGone(ctx, store, seq); err != nil {
				return nil, err
			} else if gone {
				seqs = append(seqs, seq)
			}
		}
	}
	return seqs, nil
}

// isOf reports whether a record holds something of one of the persons.
func (e *erasePass) isOf(store string, record []byte, frame *frameReader) (found bool) {
	_, from := measure(record)
	m := message{subject: string(record[recordHead:subjectEnd(record)]), data: record[from : len(record)-recordHash]}
	if store == deadStream {
		d, err := openDead(m.subject, skipHeader(record, m.data))
		_, found = e.persons[edge.Person{Site: d.Site, Key: d.Person}]
		return found && err == nil
	}
	log := eventLog
	if store == recordStream {
		log = recordLog
	}
	if store == rewrittenStream {
		var r rewrite
		var err error
		if log, r, err = openRewriteSubject(m.subject); err != nil {
			return false
		}
		m.subject, m.data = log.subject+r.site, skipHeader(record, m.data)
	}
	c := compaction{erasePass: e, log: log, site: m.subject[len(log.subject):], frame: *frame}
	_, _ = c.each(&m, func(_ []byte, p edge.Person, _ bool) { // what is damaged is told of where it is read
		if _, ok := e.persons[p]; ok {
			found = true
		}
	})
	*frame = c.frame
	return found
}

// isGone reports whether a store has no message of a number.
func (s *Stream) isGone(ctx context.Context, store string, seq uint64) (gone bool, err error) {
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		stream, err := b.js.Stream(ctx, store)
		if err != nil {
			return err
		}
		_, err = stream.GetMsg(ctx, seq)
		if gone = errors.Is(err, jetstream.ErrMsgNotFound); gone {
			return nil
		}
		return err
	})
	return gone, err
}

// renewBroker replaces the server by one that is started behind the wiping of what
// the wipe file names. Events wait in the queue meanwhile.
func (s *Stream) renewBroker() {
	if s.writable() != nil {
		return // it is being replaced, and the wipe file read
	}
	s.held().close()
	if err := s.mend(); err != nil {
		s.replace(nil, err)
	}
}
